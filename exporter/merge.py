"""Merges the counters of an application's pods into series of our own; pure.

Rate first, then sum: what each pod counted since its last page is added up. A sum of the pods' own
counters would fall whenever a pod goes, and every fall would look like a reset.
"""

import math
import re
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import sub
from typing import Literal

from exporter.application import Application, Gauge
from exporter.pages import ABSENT, STARTED, UNWANTED, Counts, Level
from exporter.tally import Increment, Tally, Target, added, tally

OTHER_ROUTES = "other"
"""Route under which the requests of all further ones are counted."""


class Classifier:
    """Says what a sample of `application` counts towards; asked once for each different line."""

    def __init__(self, application: Application) -> None:
        self._app = application
        self._errors = re.compile(application.errors)
        self._parts: dict[str, Literal["bucket", "sum", "count"]] = {
            f"{application.histogram}_bucket": "bucket",
            f"{application.histogram}_sum": "sum",
            application.requests or f"{application.histogram}_count": "count",
        }
        self._levels: dict[str, list[tuple[Mapping[str, str], Level]]] = {
            "process_start_time_seconds": [({}, STARTED)]
        }
        for each in application.saturation:
            used, limit = Level(each.resource, "used"), Level(each.resource, "limit")
            for level, gauge in ((used, each.used), (limit, each.limit)):
                if isinstance(gauge, Gauge):
                    self._levels.setdefault(gauge.name, []).append((gauge.labels, level))
        self._named: set[str] = set(application.routes)
        self.folded = 0
        """Lines whose route is counted as `other`."""

    @property
    def prefixes(self) -> Sequence[str]:
        """What every line that is wanted begins with."""
        return (*self._parts, *self._levels)

    def __call__(self, name: str, labels: Mapping[str, str]) -> Target | Level | None:
        """Return the target or level of a sample, or None when it is not wanted."""
        for wanted, level in self._levels.get(name, ()):
            if wanted.items() <= labels.items():
                return level
        part = self._parts.get(name)
        route = labels.get(self._app.route_label, "")
        if part is None or route in self._app.ignore_routes:
            return None
        if part == "sum":
            return Target("sum")
        failed = self._errors.fullmatch(labels.get(self._app.status_label, "")) is not None
        bound = float(labels.get("le", "inf")) if part == "bucket" else math.inf
        return Target(part, self._bounded(route), failed, bound)

    def _bounded(self, route: str) -> str:
        """Return the name that `route` is counted under: its own, as long as there is room."""
        room = not self._app.routes and len(self._named) < self._app.max_routes
        if route in self._named or room:
            self._named.add(route)
            return route
        self.folded += 1
        return OTHER_ROUTES


@dataclass(slots=True)
class _Seen:
    """The last page of a pod."""

    counts: Counts
    bounds: frozenset[float]
    started: float | None
    """When the process began, where the page tells."""


class Merge:
    """The series that we own for one workload: they never fall, whatever its pods do.

    What is counted stands in *cells*, one for each different target that a pod has shown; the
    lines of a page lead to them by their slots.
    """

    def __init__(self) -> None:
        self.cells: list[Target] = []
        self._cell: dict[Target, int] = {}
        self._cell_of: list[int] = []
        """Cell of each slot, UNWANTED where none of our pods has shown the line."""
        self._last: dict[str, _Seen] = {}
        self._totals: list[float] = []
        self._pending: list[float] = []
        self._pages: list[frozenset[float]] = []
        self._lift: dict[float, float] = {}
        self._bounds: frozenset[float] = frozenset()
        self.unshared = 0
        """Bucket bounds of the last pass that some pods have and others lack."""

    def add(
        self,
        pod: str,
        counts: Counts,
        targets: Sequence[Target],
        *,
        baseline: bool,
        started: float | None = None,
    ) -> None:
        """Add what `pod` counted since its last page.

        Of its first page all is added, or with `baseline` nothing: the requests are older than we
        are. When the pod began anew, all of the page counts; see `_began_anew`.
        """
        seen = self._last.get(pod)
        last = seen.counts if seen else array("d")
        last, counts = _filled(last, len(counts)), _filled(counts, len(last))
        deltas = list(map(sub, counts, last))
        fell = bool(deltas) and min(deltas) < 0
        if seen is not None and _began_anew(seen.started, started, fell=fell):
            last = _filled(array("d"), len(counts))
            deltas = list(map(sub, counts, last))
        elif fell:
            deltas = [d if d >= 0 else max(n, 0.0) for d, n in zip(deltas, counts, strict=True)]
        bounds = seen.bounds if seen else frozenset[float]()
        if fell or counts.count(ABSENT) != last.count(ABSENT):
            for slot in _new(counts, last):
                self._enter(slot, targets)
                deltas[slot] = 0.0 if seen is None and baseline else counts[slot]
            bounds = _bounds(counts, targets)
        pending = self._pending
        for cell, delta in zip(self._cell_of, deltas, strict=False):
            if delta:
                pending[cell] += delta
        self._last[pod] = _Seen(counts, bounds, started)
        if bounds:
            self._pages.append(bounds)

    def close(self, living: Collection[str], seconds: float) -> Increment:
        """End a pass of `seconds` since the one before and return what it brought.

        Pods that are not `living` are forgotten; what they counted stays.
        """
        for pod in self._last.keys() - set(living):
            del self._last[pod]
        self._totals = added(self._totals, self._pending)
        shared = frozenset.intersection(*self._pages) if self._pages else frozenset()
        bounds = shared | {math.inf} if self._pages else shared
        self.unshared = len(frozenset[float]().union(*self._pages) - bounds)
        increment = Increment(seconds, self._pending, bounds)
        self._pending, self._pages = [0.0] * len(self.cells), []
        self._bounds = bounds or self._bounds
        return increment

    def total(self) -> Tally:
        """Return all that was counted. It never falls, neither over time nor from bound to bound.

        Where versions differ only the bounds they share are returned. One that joins later has
        missed some history: it is lifted to the bound below it, for good.
        """
        found = tally(self.cells, self._totals, self._bounds, 0.0)
        lifted: list[tuple[float, float]] = []
        below = 0.0
        for le, count in found.buckets:
            self._lift[le] = max(self._lift.get(le, 0.0), below - count)
            below = count + self._lift[le]
            lifted.append((le, below))
        return replace(found, buckets=lifted)

    def used(self) -> set[int]:
        """Return the slots that the last page of any pod fills."""
        return {
            slot
            for seen in self._last.values()
            for slot, count in enumerate(seen.counts)
            if count != ABSENT
        }

    def renumber(self, moved: Sequence[int]) -> None:
        """Follow PageReader.forget: each slot is where `moved` says, or gone."""
        kept = [old for old, new in enumerate(moved) if new != UNWANTED]
        known = len(self._cell_of)
        self._cell_of = [self._cell_of[old] if old < known else UNWANTED for old in kept]
        for seen in self._last.values():
            held = len(seen.counts)
            seen.counts = array("d", (seen.counts[old] if old < held else ABSENT for old in kept))

    def _enter(self, slot: int, targets: Sequence[Target]) -> None:
        """Give a line that a pod of ours shows for the first time its cell."""
        self._cell_of += [UNWANTED] * (slot + 1 - len(self._cell_of))
        target = targets[slot]
        cell = self._cell.get(target)
        if cell is None:
            cell = self._cell[target] = len(self.cells)
            self.cells.append(target)
            self._pending.append(0.0)
        self._cell_of[slot] = cell


def _began_anew(before: float | None, now: float | None, *, fell: bool) -> bool:
    """Say whether a pod's process is another one than that of its last page.

    It says so itself by when it started. One that does not tell began anew when a counter `fell` or
    went: a line that a living process drops then counts its page twice, which is rare.
    """
    if before is not None and now is not None:
        return before != now
    return fell


def _filled(counts: Counts, length: int) -> Counts:
    """Return `counts` with at least `length` slots."""
    missing = length - len(counts)
    return counts + array("d", (ABSENT,)) * missing if missing > 0 else counts


def _new(counts: Counts, last: Counts) -> Iterator[int]:
    """Yield the slots that only the newer page fills."""
    for slot, (now, before) in enumerate(zip(counts, last, strict=True)):
        if before == ABSENT and now != ABSENT:
            yield slot


def _bounds(counts: Counts, targets: Sequence[Target]) -> frozenset[float]:
    """Return the bucket bounds of a page."""
    return frozenset(
        target.le
        for target, count in zip(targets, counts, strict=False)
        if target.part == "bucket" and count != ABSENT
    )
