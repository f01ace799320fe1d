"""What an application's pods counted in some time, and the figures that follow from it; pure."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import zip_longest
from operator import add
from typing import Literal, NamedTuple

Buckets = Sequence[tuple[float, float]]
"""(upper bound in seconds, cumulative count), ascending, ending with the infinite bound."""


class Target(NamedTuple):
    """What a line of a pod's histogram counts towards."""

    part: Literal["bucket", "sum", "count"]
    route: str = ""
    failed: bool = False
    le: float = math.inf
    """Upper bound in seconds; of buckets only."""


@dataclass(frozen=True, slots=True)
class Increment:
    """What one pass brought."""

    seconds: float
    counts: Sequence[float]
    """By cell, see Tally; may be shorter than there are cells."""
    bounds: frozenset[float]
    """Bucket bounds that every page had, the infinite one included; empty when no page had any."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of some time, sorted out by what they count."""

    seconds: float = 0.0
    requests: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """(Answered, of these failed) by route."""
    duration: float = 0.0
    """Time that all requests took together, in seconds."""
    buckets: Buckets = ()
    good: Buckets = ()
    """Those of requests that did not fail."""
    routes: Mapping[str, Buckets] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Requests, failed ones included."""
        return sum(answered for answered, _ in self.requests.values())

    @property
    def failures(self) -> float:
        """Requests that failed."""
        return sum(failed for _, failed in self.requests.values())


def tally(
    cells: Sequence[Target], counts: Sequence[float], bounds: Iterable[float], seconds: float
) -> Tally:
    """Sort out `counts`, one for each of `cells`; of buckets only those of `bounds` are kept."""
    ladder = sorted(bounds)
    place = {le: at for at, le in enumerate(ladder)}
    requests: dict[str, tuple[float, float]] = {}
    routes: dict[str, list[float]] = {}
    good = [0.0] * len(ladder)
    duration = 0.0
    for (part, route, failed, le), count in zip(cells, counts, strict=False):
        if part == "bucket":
            at = place.get(le)
            if at is None:
                continue
            routes.setdefault(route, [0.0] * len(ladder))[at] += count
            if not failed:
                good[at] += count
        elif part == "count":
            answered, bad = requests.get(route, (0.0, 0.0))
            requests[route] = (answered + count, bad + count * failed)
        else:
            duration += count
    every = [sum(column) for column in zip(*routes.values(), strict=True)] or good
    return Tally(
        seconds,
        requests,
        duration,
        list(zip(ladder, every, strict=True)),
        list(zip(ladder, good, strict=True)),
        {route: list(zip(ladder, column, strict=True)) for route, column in routes.items()},
    )


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

    def total(self, cells: Sequence[Target]) -> Tally:
        """Return the passes as one; its bounds are those that all passes with buckets share."""
        counts: Sequence[float] = ()
        for each in self._passes:
            counts = added(counts, each.counts)
        seen = [each.bounds for each in self._passes if each.bounds]
        bounds = frozenset.intersection(*seen) if seen else frozenset()
        return tally(cells, counts, bounds, sum(each.seconds for each in self._passes))


def added(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Add up two rows of counts; what the shorter one lacks is zero."""
    if len(one) == len(other):
        return list(map(add, one, other))
    return [a + b for a, b in zip_longest(one, other, fillvalue=0.0)]


class Quantile(NamedTuple):
    """A quantile in seconds."""

    seconds: float
    capped: bool
    """True when it lies beyond the last finite bound, which then stands for it."""


def quantile(q: float, buckets: Buckets) -> Quantile | None:
    """Return the `q`-quantile of a cumulative histogram, or None when it cannot be known.

    As Prometheus' histogram_quantile: linear within a bucket, the first one beginning at 0, and
    never above the last finite bound.
    """
    if len(buckets) < 2 or buckets[-1][1] <= 0:
        return None
    rank = q * buckets[-1][1]
    lower, below = 0.0, 0.0
    for le, count in buckets[:-1]:
        if count >= rank and count > below:
            return Quantile(lower + (le - lower) * (rank - below) / (count - below), capped=False)
        lower, below = le, max(below, count)
    return Quantile(lower, capped=True)


class Satisfaction(NamedTuple):
    """What Apdex is made of, in requests."""

    satisfied: float
    """Answered well within T."""
    tolerating: float
    """Answered well between T and 4 T."""
    exact: bool
    """False when T or 4 T is no bound of the histogram, and the next lower one stands for it."""

    def apdex(self, total: float) -> float | None:
        """Return the Apdex of `total` requests, failed ones included; None without requests."""
        return (self.satisfied + self.tolerating / 2) / total if total > 0 else None


def satisfaction(good: Buckets, within: timedelta) -> Satisfaction | None:
    """Split the requests that did not fail at T = `within` and 4 T; None without a bound up to T.

    A failed request is frustrated, however quick. Where T or 4 T is no bound, the next lower one
    stands for it: never better than the truth.
    """
    first, second = _at(good, within.total_seconds()), _at(good, 4 * within.total_seconds())
    if first is None or second is None:
        return None
    return Satisfaction(first[0], max(0.0, second[0] - first[0]), first[1] and second[1])


def _at(buckets: Buckets, bound: float) -> tuple[float, bool] | None:
    """Return the count at the highest finite bound up to `bound`, and whether that is `bound`."""
    reach = bound * (1 + 1e-9)  # T and the bounds are decimal fractions, rounded one by one
    found = [(le, count) for le, count in buckets if le <= reach]
    if not found:
        return None
    le, count = found[-1]
    return count, le >= bound * (1 - 1e-9)
