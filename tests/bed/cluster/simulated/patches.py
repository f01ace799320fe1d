"""The three kinds of patch that Kubernetes takes."""

import json
from copy import deepcopy

from tests.bed.cluster.simulated.objects import Obj, ensure
from tests.bed.cluster.simulated.status import ApiError

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

# From the `patchMergeKey` tags of k8s.io/api/core/v1 and apps/v1; a list that is not here is
# replaced as a whole. `ports` has a key per parent: a Service's are told apart by `port`.
MERGE_KEYS = {
    "addresses": "type",
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "ports": "containerPort",
    "secrets": "name",
    "taints": "key",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
MERGED_VALUES = frozenset({"finalizers"})
"""Lists of plain values that are joined instead of replaced."""


def apply_patch(content_type: str, obj: Obj, patch: object) -> Obj:
    """Return the patched copy of `obj`.

    Raises ApiError: 415 for a type of patch that is not known, 400 for one that cannot be read,
    422 for a JSON patch that does not fit the object (a failed test included).
    """
    if content_type == JSON_PATCH:
        return json_patch(obj, patch)
    if not isinstance(patch, dict):
        raise ApiError(400, "the patch must be an object")
    if content_type == MERGE_PATCH:
        merged = merge(obj, patch)
    elif content_type == STRATEGIC_PATCH:
        merged = strategic_merge(obj, patch)
    else:
        raise ApiError(415, f"the body of the request was in an unknown format: {content_type}")
    return merged if isinstance(merged, dict) else {}


def json_patch(obj: Obj, patch: object) -> Obj:
    """Apply RFC 6902. Raises ApiError (400, 422)."""
    if not isinstance(patch, list):
        raise ApiError(400, "a JSON patch must be a list")
    root: Obj = {"": deepcopy(obj)}
    for step in patch:
        try:
            _json_step(root, step)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ApiError(
                422,
                "the server rejected our request due to an error in our request: "
                f"{json.dumps(step)}: {error}",
            ) from error
    return ensure(root, "")


def _json_step(root: Obj, step: Obj) -> None:
    operation = step["op"]
    parent, key = _locate(root, str(step["path"]))
    match operation:
        case "test":
            if _read(parent, key) != step["value"]:
                raise ValueError(f"testing value {step['path']} failed")
        case "add":
            _insert(parent, key, deepcopy(step["value"]))
        case "replace":
            _read(parent, key)
            _write(parent, key, deepcopy(step["value"]))
        case "remove":
            _remove(parent, key)
        case "move" | "copy":
            source, source_key = _locate(root, str(step["from"]))
            value = deepcopy(_read(source, source_key))
            if operation == "move":
                _remove(source, source_key)
            _insert(*_locate(root, str(step["path"])), value)
        case _:
            raise ValueError(f"unknown operation {operation!r}")


def _locate(root: object, pointer: str) -> tuple[object, str]:
    *path, last = [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")]
    for key in path:
        root = _read(root, key)
    return root, last


def _read(parent: object, key: str) -> object:
    if isinstance(parent, list):
        return parent[int(key)]
    if isinstance(parent, dict):
        return parent[key]
    raise TypeError(f"nothing at {key!r}")


def _insert(parent: object, key: str, value: object) -> None:
    if isinstance(parent, list):
        position = len(parent) if key == "-" else int(key)
        if position > len(parent):
            raise IndexError(f"index {position} is out of range")
        parent.insert(position, value)
    else:
        _write(parent, key, value)


def _write(parent: object, key: str, value: object) -> None:
    if isinstance(parent, list):
        parent[int(key)] = value
    elif isinstance(parent, dict):
        parent[key] = value
    else:
        raise TypeError(f"nothing at {key!r}")


def _remove(parent: object, key: str) -> None:
    if isinstance(parent, list):
        del parent[int(key)]
    elif isinstance(parent, dict):
        del parent[key]
    else:
        raise TypeError(f"nothing at {key!r}")


def merge(target: object, patch: object) -> object:
    """Apply RFC 7386."""
    if not isinstance(patch, dict):
        return deepcopy(patch)
    result: Obj = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic_merge(target: object, patch: Obj) -> object:
    """Apply a strategic merge patch: as a merge, but lists with a merge key by element."""
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: deepcopy(value) for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    result: Obj = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = strategic_merge(result.get(key), value)
        elif isinstance(value, list):
            result[key] = _merge_list(key, result.get(key), value)
        else:
            result[key] = value
    return _directives(result, patch)


def _directives(result: Obj, patch: Obj) -> Obj:
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        field = key.removeprefix("$deleteFromPrimitiveList/")
        have = result.get(field)
        if field != key and isinstance(have, list) and isinstance(value, list):
            result[field] = [item for item in have if item not in value]
    return result


def _merge_list(field: str, have: object, patch: list[object]) -> list[object]:
    have = have if isinstance(have, list) else []
    if field in MERGED_VALUES:
        return [*have, *(value for value in patch if value not in have)]
    key = MERGE_KEYS.get(field)
    items = [item for item in patch if isinstance(item, dict)]
    if field == "ports" and any("containerPort" not in item for item in items):
        key = "port"
    if key is None or len(items) < len(patch):
        return deepcopy(patch)
    if any(item.get("$patch") == "replace" for item in items):
        return [deepcopy(item) for item in items if "$patch" not in item]
    return _merge_items(key, [item for item in have if isinstance(item, dict)], items)


def _merge_items(key: str, have: list[Obj], patch: list[Obj]) -> list[object]:
    gone = {item.get(key) for item in patch if item.get("$patch") == "delete"}
    changed = [item for item in patch if item.get(key) not in gone]
    if any(key not in item for item in changed):
        raise ApiError(400, f"map: {changed} does not contain declared merge key: {key}")
    places = {item.get(key): place for place, item in enumerate(have)}
    patched = [
        strategic_merge(have[places[name]] if (name := item.get(key)) in places else {}, item)
        for item in changed
    ]
    names = gone | {item.get(key) for item in changed}
    kept: list[object] = [item for item in have if item.get(key) not in names]
    return _interleave(kept, patched, dict(places), key)


def _key(item: object, key: str) -> object:
    return item.get(key) if isinstance(item, dict) else None


def _interleave(
    kept: list[object], patched: list[object], places: dict[object, int], key: str
) -> list[object]:
    """Join as the API server does: known elements in their old order, new ones in front."""
    result: list[object] = []
    while kept and patched:
        place = places.get(_key(patched[0], key))
        first = place is not None and places[_key(kept[0], key)] < place
        result.append((kept if first else patched).pop(0))
    return result + kept + patched
