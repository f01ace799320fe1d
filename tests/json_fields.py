"""Takes fields out of recorded JSON, one at a time."""

import copy
from collections.abc import Iterable, Iterator

Path = tuple[object, ...]


def paths(value: object, before: Path = ()) -> Iterator[Path]:
    """Yield the way to every field of a JSON value, those in lists too."""
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        if isinstance(key, str):
            yield (*before, key)
        yield from paths(inner, (*before, key))


def changed(raw: object, path: Path, *, to_null: bool = False) -> object:
    """Return a copy without the field at `path`, or with null there."""
    result = copy.deepcopy(raw)
    parent = result
    for key in path[:-1]:
        parent = parent[key]  # type: ignore[index]  # JSON, and the path was found in it
    if to_null:
        parent[path[-1]] = None  # type: ignore[index]  # as above
    else:
        del parent[path[-1]]  # type: ignore[attr-defined]  # as above
    return result
