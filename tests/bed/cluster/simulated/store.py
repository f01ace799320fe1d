"""All objects, their versions and the window of past changes that watches read."""

from bisect import bisect_right
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from uuid import uuid4

from exporter.shared.clock import Clock
from tests.bed.cluster.simulated.kinds import Kind
from tests.bed.cluster.simulated.objects import Obj, ensure, name_of, namespace_of, number, stamp
from tests.bed.cluster.simulated.status import already_exists, expired, not_found

HISTORY = 5000
"""Changes kept for watches; the real API server keeps some minutes."""

Key = tuple[str, str]
"""Namespace (empty for objects of the cluster) and name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One committed write."""

    version: int
    type: str
    """ADDED, MODIFIED or DELETED."""
    kind: Kind
    obj: Obj
    """As it is after the write; of a deletion, as it was, with the deletion's version."""
    before: Obj | None


Listener = Callable[[Change], None]


class Store:
    """Objects by kind and key. All of it is synchronous: nobody ever sees half a write."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.version = 1
        self.oldest = 1
        self.listeners: set[Listener] = set()
        self._objects: dict[Kind, dict[Key, Obj]] = {}
        self._history: list[Change] = []

    def now(self) -> str:
        """Return the present as Kubernetes writes it."""
        return stamp(self.clock.now())

    def find(self, kind: Kind, namespace: str, name: str) -> Obj | None:
        """Return the object, or None when there is none."""
        return self._objects.get(kind, {}).get((namespace, name))

    def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        """Return the object. Raises ApiError (404)."""
        found = self.find(kind, namespace, name)
        if found is None:
            raise not_found(kind, name)
        return found

    def every(self, kind: Kind, namespace: str = "") -> list[Obj]:
        """Return the objects of one namespace, or of all, ordered by namespace and name."""
        objects = self._objects.get(kind, {})
        keys = sorted(key for key in objects if not namespace or key[0] == namespace)
        return [objects[key] for key in keys]

    def create(self, kind: Kind, obj: Obj) -> Obj:
        """Store a new object with uid, time and version of its own. Raises ApiError (409)."""
        obj = deepcopy(obj)
        key = (namespace_of(obj), name_of(obj))
        if key in self._objects.get(kind, {}):
            raise already_exists(kind, key[1])
        obj |= {"kind": kind.name, "apiVersion": kind.api_version}
        metadata = ensure(obj, "metadata")
        metadata |= {"uid": str(uuid4()), "creationTimestamp": self.now()}
        if kind.counts_generations:
            metadata["generation"] = 1
        return self._commit("ADDED", kind, key, obj, None)

    def change(self, kind: Kind, namespace: str, name: str, edit: Callable[[Obj], None]) -> Obj:
        """Let `edit` change a copy of the object and store it; an edit without effect is none.

        The generation is counted up when the spec has changed. Raises ApiError (404).
        """
        before = self.get(kind, namespace, name)
        after = deepcopy(before)
        edit(after)
        metadata = ensure(after, "metadata")
        metadata["resourceVersion"] = ensure(before, "metadata").get("resourceVersion")
        if after == before:
            return before
        if kind.counts_generations and after.get("spec") != before.get("spec"):
            metadata["generation"] = number(before, "metadata", "generation") + 1
        return self._commit("MODIFIED", kind, (namespace, name), after, before)

    def remove(self, kind: Kind, namespace: str, name: str) -> Obj:
        """Take the object out at once. Raises ApiError (404)."""
        before = self.get(kind, namespace, name)
        return self._commit("DELETED", kind, (namespace, name), deepcopy(before), before)

    def since(self, version: int) -> list[Change]:
        """Return the changes after `version`. Raises ApiError (410) when some are forgotten."""
        if version < self.oldest:
            raise expired(version, self.oldest)
        return self._history[bisect_right(self._history, version, key=lambda c: c.version) :]

    def compact(self) -> None:
        """Forget the past: only a watch from the present version on can be served."""
        self.oldest = self.version
        self._history.clear()

    def _commit(self, change: str, kind: Kind, key: Key, obj: Obj, before: Obj | None) -> Obj:
        self.version += 1
        ensure(obj, "metadata")["resourceVersion"] = str(self.version)
        if change == "DELETED":
            del self._objects[kind][key]
        else:
            self._objects.setdefault(kind, {})[key] = obj
        committed = Change(self.version, change, kind, obj, before)
        self._history.append(committed)
        if len(self._history) > HISTORY:
            dropped = self._history[: HISTORY // 10]
            del self._history[: HISTORY // 10]
            self.oldest = dropped[-1].version
        for listener in tuple(self.listeners):
            listener(committed)
        return obj
