"""Kubernetes objects as plain JSON, and typed ways to look into them.

An object that the store handed out is never changed in place: copy it, or go through the store.
"""

from datetime import datetime

Obj = dict[str, object]


def part(obj: object, *path: str) -> Obj:
    """Return the mapping at `path`; an empty one, not attached, when there is none."""
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else {}


def ensure(obj: Obj, *path: str) -> Obj:
    """Return the mapping at `path`, made where it is missing or null."""
    for key in path:
        inner = obj.get(key)
        if not isinstance(inner, dict):
            inner = {}
            obj[key] = inner
        obj = inner
    return obj


def parts(obj: object, *path: str) -> list[Obj]:
    """Return the mappings of the list at `path`; empty when there is none."""
    found = part(obj, *path[:-1]).get(path[-1])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(obj: object, *path: str) -> str:
    """Return the string at `path`, empty when there is none."""
    found = part(obj, *path[:-1]).get(path[-1])
    return found if isinstance(found, str) else ""


def number(obj: object, *path: str, default: int = 0) -> int:
    """Return the integer at `path`, `default` when there is none."""
    found = part(obj, *path[:-1]).get(path[-1])
    return found if isinstance(found, int) else default


def without_nulls(obj: Obj) -> Obj:
    """Return a copy without null fields, as the API server's typed reading leaves it."""
    return {key: _read(value) for key, value in obj.items() if value is not None}


def _read(value: object) -> object:
    if isinstance(value, dict):
        return without_nulls(value)
    return [_read(item) for item in value] if isinstance(value, list) else value


def flag(obj: object, *path: str) -> bool:
    """Tell whether `path` holds true."""
    return part(obj, *path[:-1]).get(path[-1]) is True


def labels(obj: object) -> dict[str, str]:
    """Return the labels of an object."""
    return {key: str(value) for key, value in part(obj, "metadata", "labels").items()}


def name_of(obj: object) -> str:
    """Return metadata.name."""
    return text(obj, "metadata", "name")


def namespace_of(obj: object) -> str:
    """Return metadata.namespace, empty for objects of the cluster."""
    return text(obj, "metadata", "namespace")


def uid_of(obj: object) -> str:
    """Return metadata.uid."""
    return text(obj, "metadata", "uid")


def is_deleting(obj: object) -> bool:
    """Tell whether the object has been asked to go."""
    return bool(text(obj, "metadata", "deletionTimestamp"))


def controller_of(obj: object) -> str:
    """Return the uid of the controlling owner, empty when there is none."""
    for owner in parts(obj, "metadata", "ownerReferences"):
        if owner.get("controller") is True:
            return text(owner, "uid")
    return ""


def stamp(moment: datetime) -> str:
    """Write a moment as Kubernetes' metav1.Time: whole seconds, UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(obj: object, kind: str) -> Obj:
    """Return the status condition of this type, an empty mapping when there is none."""
    return next((c for c in parts(obj, "status", "conditions") if c.get("type") == kind), {})


def has_ended(pod: object) -> bool:
    """Say whether none of its containers runs or will run again."""
    return text(pod, "status", "phase") in {"Failed", "Succeeded"}


def is_ready(pod: object) -> bool:
    """Tell whether traffic may go to the pod."""
    return condition(pod, "Ready").get("status") == "True" and not is_deleting(pod)
