"""What each verb does with the store; the requests come from routes.py."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from secrets import token_hex

from tests.bed.cluster.simulated.addresses import Addresses
from tests.bed.cluster.simulated.admission import admit
from tests.bed.cluster.simulated.deletion import delete
from tests.bed.cluster.simulated.kinds import BY_PATH, NAMESPACE, SERVICE, Kind
from tests.bed.cluster.simulated.objects import (
    Obj,
    ensure,
    name_of,
    namespace_of,
    number,
    part,
    text,
    uid_of,
    without_nulls,
)
from tests.bed.cluster.simulated.patches import apply_patch
from tests.bed.cluster.simulated.status import ApiError, conflict, invalid, not_found
from tests.bed.cluster.simulated.store import Store

VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: a collection, an object or one of its subresources."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def read_path(path: str) -> Target:
    """Read a path of the API. Raises ApiError (404) for one that is not served."""
    segments = path.strip("/").split("/")
    size = 2 if segments[0] == "api" else 3
    prefix, rest = "/" + "/".join(segments[:size]), segments[size:]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces" and (prefix, rest[2]) in BY_PATH:
        namespace, rest = rest[1], rest[2:]
    kind = BY_PATH.get((prefix, rest[0])) if rest else None
    if kind is None or len(rest) > 3:
        raise ApiError(404, "the server could not find the requested resource")
    name, subresource = [*rest[1:], "", ""][:2]
    return Target(kind, namespace, name, subresource)


def verb_of(method: str, path: str, options: Mapping[str, str]) -> str:
    """Return the request's verb in Kubernetes' words."""
    if method != "GET":
        return VERBS.get(method, method.lower())
    if options.get("watch") in {"1", "true", "True"}:
        return "watch"
    try:
        return "get" if read_path(path).name else "list"
    except ApiError:
        return "get"


class Api:
    """The verbs that write, and get."""

    def __init__(self, store: Store, addresses: Addresses) -> None:
        self._store = store
        self._addresses = addresses

    def get(self, target: Target) -> Obj:
        """Return the object, or its scale. Raises ApiError (404)."""
        obj = self._store.get(target.kind, target.namespace, target.name)
        return scale_of(obj) if target.subresource == "scale" else obj

    def create(self, target: Target, obj: Obj) -> Obj:
        """Store a new object. Raises ApiError (404, 409, 422)."""
        obj = without_nulls(obj)
        metadata = ensure(obj, "metadata")
        if target.kind.namespaced:
            if self._store.find(NAMESPACE, "", target.namespace) is None:
                raise not_found(NAMESPACE, target.namespace)
            if metadata.setdefault("namespace", target.namespace) != target.namespace:
                raise ApiError(400, "the namespace of the object does not match the request")
        if not name_of(obj) and (prefix := text(metadata, "generateName")):
            metadata["name"] = prefix + token_hex(3)[:5]
        if not name_of(obj):
            raise invalid(target.kind, "", "metadata.name", "Required value: name is required")
        for field in ("uid", "resourceVersion", "creationTimestamp", "generation"):
            metadata.pop(field, None)
        admit(target.kind, obj)
        if target.kind == SERVICE and not text(obj, "spec", "clusterIP"):
            address = self._addresses.next()
            ensure(obj, "spec").update(clusterIP=address, clusterIPs=[address])
        return self._store.create(target.kind, obj)

    def update(self, target: Target, obj: Obj) -> Obj:
        """Replace the object, its status or its scale. Raises ApiError (404, 409, 422)."""
        if name_of(obj) != target.name:
            raise ApiError(400, "the name of the object does not match the name on the URL")
        before = self.get(target)
        if uid_of(obj) not in {"", uid_of(before)}:
            why = f"Precondition failed: UID in precondition: {uid_of(obj)}, "
            raise conflict(target.kind, target.name, f"{why}UID in object meta: {uid_of(before)}")
        return self._write(target, before, obj)

    def patch(self, target: Target, content_type: str, patch: object) -> Obj:
        """Patch the object, its status or its scale. Raises ApiError (404, 409, 415, 422)."""
        before = self.get(target)
        after = apply_patch(content_type, before, patch)
        if uid_of(after) not in {"", uid_of(before)}:
            why = f'Invalid value: "{uid_of(after)}": field is immutable'
            raise invalid(target.kind, target.name, "metadata.uid", why)
        return self._write(target, before, after)

    def delete(self, target: Target, options: Obj) -> Obj:
        """Delete the object. Raises ApiError (404, 409)."""
        return delete(self._store, target.kind, target.namespace, target.name, options)

    def _write(self, target: Target, before: Obj, after: Obj) -> Obj:
        kind, name = target.kind, target.name
        after = without_nulls(after)
        for field in ("name", "namespace"):
            if text(after, "metadata", field) not in {"", text(before, "metadata", field)}:
                raise ApiError(400, f"the {field} of the object does not match the URL")
        version = text(after, "metadata", "resourceVersion")
        if version and version != text(before, "metadata", "resourceVersion"):
            raise conflict(kind, name)

        def edit(obj: Obj) -> None:
            _take_over(target, obj, after)
            admit(kind, obj, before if not target.subresource else None)

        written = self._store.change(kind, namespace_of(before), name, edit)
        return scale_of(written) if target.subresource == "scale" else written


KEPT = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "name", "namespace")
"""Metadata that no client may change."""


def _take_over(target: Target, obj: Obj, after: Obj) -> None:
    """Write into `obj` the part of `after` that this resource is allowed to change."""
    if target.subresource == "scale":
        ensure(obj, "spec")["replicas"] = number(after, "spec", "replicas")
        return
    if target.subresource == "status" or not target.kind.has_status:
        obj["status"] = deepcopy(part(after, "status"))
        if not obj["status"]:
            del obj["status"]
    if target.subresource:
        return
    for field in obj.keys() - {"status", "metadata", "kind", "apiVersion"}:
        del obj[field]
    for field in after.keys() - {"status", "metadata", "kind", "apiVersion"}:
        obj[field] = deepcopy(after[field])
    kept = {field: value for field, value in part(obj, "metadata").items() if field in KEPT}
    given = part(after, "metadata").items()
    obj["metadata"] = {f: deepcopy(v) for f, v in given if f not in KEPT and v is not None} | kept


def scale_of(obj: Obj) -> Obj:
    """Return the scale subresource of a workload."""
    metadata = part(obj, "metadata")
    fields = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    pairs = part(obj, "spec", "selector", "matchLabels").items()
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: metadata[field] for field in fields},
        "spec": {"replicas": number(obj, "spec", "replicas")},
        "status": {
            "replicas": number(obj, "status", "replicas"),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(pairs)),
        },
    }
