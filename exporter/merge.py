"""Merges the counters of an application's pods into series of our own; pure.

Rate first, then sum: what each pod counted since its last page is added up. A sum of the pods' own
counters would fall whenever a pod goes, and every fall would look like a reset.
"""

import math
import re
from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Literal, NamedTuple

from exporter.pages import ABSENT, Page
from exporter.ports import Application


class Target(NamedTuple):
    """What a line of a pod's histogram counts towards."""

    part: Literal["bucket", "sum", "count"]
    route: str = ""
    """Of counts only: buckets and sums are kept for all routes together."""
    failed: bool = False
    le: float = math.inf
    """Upper bound in seconds; of buckets only."""


def classifier(application: Application) -> Callable[[str, Mapping[str, str]], Target | None]:
    """Return the function that says what a sample of `application` counts towards."""
    errors = re.compile(application.errors)
    parts = {f"{application.histogram}_{part}": part for part in ("bucket", "sum", "count")}

    def classify(name: str, labels: Mapping[str, str]) -> Target | None:
        part = parts.get(name)
        route = labels.get(application.route_label, "")
        if part is None or route in application.ignore_routes:
            return None
        failed = errors.fullmatch(labels.get(application.status_label, "")) is not None
        if part == "bucket":
            return Target("bucket", "", failed, float(labels.get("le", "inf")))
        return Target("sum", "", failed) if part == "sum" else Target("count", route, failed)

    return classify


@dataclass(frozen=True, slots=True)
class Increment:
    """What an application's pods counted in some time."""

    seconds: float
    counts: Mapping[Target, float]
    bounds: frozenset[float]
    """Bucket bounds that every page had, the infinite one included; empty when no page had any."""

    @property
    def requests(self) -> float:
        """Requests, failed ones included."""
        return sum(n for target, n in self.counts.items() if target.part == "count")

    @property
    def failures(self) -> float:
        """Requests that failed."""
        return sum(
            n for target, n in self.counts.items() if target.part == "count" and target.failed
        )

    def buckets(self, *, good: bool = False) -> list[tuple[float, float]]:
        """Return (bound, cumulative count), ascending; of those not failed where `good`."""
        failed = (False,) if good else (False, True)
        return [
            (le, sum(self.counts.get(Target("bucket", "", f, le), 0.0) for f in failed))
            for le in sorted(self.bounds)
        ]


class Merge:
    """The series that we own for one workload: they never fall, whatever its pods do."""

    def __init__(self) -> None:
        self._last: dict[str, Page] = {}
        self._totals: dict[Target, float] = {}
        self._pending: dict[Target, float] = {}
        self._pages: list[frozenset[float]] = []
        self._lift: dict[float, float] = {}
        self._bounds: frozenset[float] = frozenset()

    def add(self, pod: str, page: Page, targets: Sequence[Target], *, baseline: bool) -> None:
        """Add what `pod` counted since its last page.

        Of its first page all is added, or with `baseline` nothing: the requests are older than we
        are. A counter that fell or went means that the pod began anew, and all of the page counts.
        """
        last = self._last.get(pod)
        known = last is not None
        if last is None:
            last = page if baseline else array("d")
        elif any(now < before for now, before in zip_longest(page, last, fillvalue=ABSENT)):
            last = array("d")
        bounds = set()
        for now, before, target in zip_longest(page, last, targets, fillvalue=ABSENT):
            if not isinstance(target, Target) or now < 0:
                continue
            if target.part == "bucket":
                bounds.add(target.le)
            delta = now - max(before, 0.0)
            if not delta and known and before >= 0:  # most lines of most passes
                continue
            self._pending[target] = self._pending.get(target, 0.0) + delta
        self._last[pod] = page
        if bounds:
            self._pages.append(frozenset(bounds))

    def close(self, living: Collection[str], seconds: float) -> Increment:
        """End a pass of `seconds` since the one before and return what it brought.

        Pods that are not `living` are forgotten; what they counted stays.
        """
        for pod in self._last.keys() - set(living):
            del self._last[pod]
        for target, delta in self._pending.items():
            self._totals[target] = self._totals.get(target, 0.0) + delta
        bounds = frozenset.intersection(*self._pages) | {math.inf} if self._pages else frozenset()
        increment = Increment(seconds, self._pending, bounds)
        self._pending, self._pages = {}, []
        self._bounds = bounds or self._bounds
        return increment

    def requests(self) -> dict[str, tuple[float, float]]:
        """Return (requests, failed ones) by route."""
        found: dict[str, tuple[float, float]] = {}
        for target, count in self._totals.items():
            if target.part == "count":
                every, failed = found.get(target.route, (0.0, 0.0))
                found[target.route] = (every + count, failed + count * target.failed)
        return found

    def seconds(self) -> float:
        """Return the time that all requests took together."""
        return sum(total for target, total in self._totals.items() if target.part == "sum")

    def histogram(self) -> list[tuple[float, float]]:
        """Return (bound, cumulative count), ascending; empty until a pod has shown buckets.

        Where versions differ only the bounds they share are returned. One that joins later has
        missed some history: it is lifted to the bound below it, for good, so that the histogram
        never falls, neither over time nor from bound to bound.
        """
        found: list[tuple[float, float]] = []
        below = 0.0
        for le, total in Increment(0.0, self._totals, self._bounds).buckets():
            self._lift[le] = max(self._lift.get(le, 0.0), below - total)
            below = total + self._lift[le]
            found.append((le, below))
        return found


class Window:
    """The last passes that together cover `length`."""

    def __init__(self, length: timedelta) -> None:
        self._length = length.total_seconds()
        self._passes: deque[Increment] = deque()

    def push(self, increment: Increment) -> None:
        """Take in a pass; forget those that are not needed to cover the length."""
        self._passes.append(increment)
        covered = sum(each.seconds for each in self._passes)
        while covered - self._passes[0].seconds >= self._length:
            covered -= self._passes.popleft().seconds

    def total(self) -> Increment:
        """Return the passes as one; its bounds are those that all passes with buckets share."""
        counts: dict[Target, float] = {}
        for each in self._passes:
            for target, count in each.counts.items():
                counts[target] = counts.get(target, 0.0) + count
        seen = [each.bounds for each in self._passes if each.bounds]
        bounds = frozenset.intersection(*seen) if seen else frozenset()
        return Increment(sum(each.seconds for each in self._passes), counts, bounds)


def quantile(q: float, buckets: Iterable[tuple[float, float]]) -> float | None:
    """Return the `q`-quantile of a cumulative histogram, or None when it cannot be known.

    As Prometheus' histogram_quantile: linear within a bucket, the first one beginning at 0, and
    never above the last finite bound. `buckets` ascend and end with the infinite bound.
    """
    points = list(buckets)
    if len(points) < 2 or points[-1][1] <= 0:
        return None
    rank = q * points[-1][1]
    lower, below = 0.0, 0.0
    for le, count in points[:-1]:
        if count >= rank and count > below:
            return lower + (le - lower) * (rank - below) / (count - below)
        lower, below = le, max(below, count)
    return lower


def apdex(increment: Increment, satisfied: timedelta) -> float | None:
    """Return the Apdex at T = `satisfied`, or None without requests or without a bound up to T.

    Tolerated up to 4 T at half weight; a failed request is frustrated, however quick. Where T or
    4 T is no bound of the histogram, the next lower one stands for it: never better than the truth.
    """
    total = increment.requests
    within = satisfied.total_seconds()
    good = increment.buckets(good=True)
    quick = [count for le, count in good if le <= within * (1 + 1e-9)]
    bearable = [count for le, count in good if le <= 4 * within * (1 + 1e-9)]
    if total <= 0 or not quick:
        return None
    return (max(quick) + max(bearable)) / (2 * total)
