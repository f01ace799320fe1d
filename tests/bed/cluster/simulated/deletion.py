"""Deleting: preconditions, graceful ends of pods, and what goes with its owner."""

from tests.bed.cluster.simulated.kinds import KINDS, NAMESPACE, POD, Kind
from tests.bed.cluster.simulated.objects import (
    Obj,
    ensure,
    is_deleting,
    name_of,
    namespace_of,
    number,
    part,
    parts,
    text,
    uid_of,
)
from tests.bed.cluster.simulated.status import conflict, success
from tests.bed.cluster.simulated.store import Store


def delete(store: Store, kind: Kind, namespace: str, name: str, options: Obj | None = None) -> Obj:
    """Delete as the API does and return what it answers: the pod that now ends, or a Status.

    Raises ApiError: 404, and 409 when a precondition of `options` does not hold.
    """
    options = options or {}
    found = store.get(kind, namespace, name)
    for field, wanted in part(options, "preconditions").items():
        have = text(found, "metadata", field)
        if wanted is not None and have != wanted:
            raise conflict(kind, name, f"the {field} in the precondition ({wanted}) is not {have}")
    if kind == POD:
        grace = number(
            options,
            "gracePeriodSeconds",
            default=number(found, "spec", "terminationGracePeriodSeconds", default=30),
        )
        if grace > 0 and text(found, "spec", "nodeName"):
            return found if is_deleting(found) else _end_gracefully(store, found, grace)
    store.remove(kind, namespace, name)
    if kind == NAMESPACE:
        for inner in KINDS:
            for obj in store.every(inner, name) if inner.namespaced else []:
                store.remove(inner, name, name_of(obj))
    if options.get("propagationPolicy") == "Orphan":
        _orphan(store, uid_of(found))
    return success(kind, name, uid_of(found))


def _end_gracefully(store: Store, pod: Obj, grace: int) -> Obj:
    def edit(obj: Obj) -> None:
        metadata = ensure(obj, "metadata")
        metadata |= {"deletionTimestamp": store.now(), "deletionGracePeriodSeconds": grace}

    return store.change(POD, namespace_of(pod), name_of(pod), edit)


def _orphan(store: Store, owner: str) -> None:
    def edit(obj: Obj) -> None:
        owners = parts(obj, "metadata", "ownerReferences")
        ensure(obj, "metadata")["ownerReferences"] = [o for o in owners if o.get("uid") != owner]

    for kind in KINDS:
        for obj in store.every(kind):
            if any(o.get("uid") == owner for o in parts(obj, "metadata", "ownerReferences")):
                store.change(kind, namespace_of(obj), name_of(obj), edit)


def collect_garbage(store: Store) -> None:
    """Delete every object whose owners are all gone."""
    everything = [(kind, obj) for kind in KINDS for obj in store.every(kind)]
    alive = {uid_of(obj) for _, obj in everything}
    for kind, obj in everything:
        owners = parts(obj, "metadata", "ownerReferences")
        if owners and not is_deleting(obj) and not any(o.get("uid") in alive for o in owners):
            delete(store, kind, namespace_of(obj), name_of(obj))
