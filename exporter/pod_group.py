"""One workload of an application: what its pods counted and hold, pass by pass; pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from exporter.application import Application, Saturation
from exporter.merge import Merge
from exporter.pages import STARTED, Level, Page, PageReader
from exporter.tally import Tally, Target, Window, satisfaction, tally

FORGET_AFTER = timedelta(hours=1)
"""How long a workload without pods keeps its counters; later ones begin anew, as after a reset."""


class Usage(NamedTuple):
    """How much of a resource the pods use, in the resource's own unit."""

    used: float
    limit: float | None
    """None when it is not known of every pod."""
    fullest: float | None
    """Used over limit of the pod where that is most."""


class Apdex(NamedTuple):
    """Requests by how long their users had to wait."""

    satisfied: float
    tolerating: float
    exact: bool
    """False when another bound stands for T or 4 T, or failed requests count as answered."""


class Group:
    """The pods of one workload."""

    def __init__(self, application: Application, window: timedelta) -> None:
        self._application = application
        self._window = Window(window)
        self._merge = Merge()
        self._levels: list[Mapping[Level, float]] = []
        self.seen = 0.0
        """Monotonic time when it last had a pod."""
        self.reading = 0
        """Pages that were read in the pass that has not ended yet."""
        self.failures: Counter[str] = Counter()
        """Pages that could not be read, by reason."""
        self.read = 0
        """Pods whose page was read in the last pass."""
        self.usage: Mapping[str, Usage] = {}
        """What the pods used in the last pass, by resource."""
        self.apdex: Apdex | None = None
        """Of all requests since pods show a bound up to T; None while they show others only."""
        self.total = Tally()
        """All that was counted."""
        self.recent: Tally | None = None
        """What was counted in the window; None when no pod was read or in the first pass."""

    @property
    def unshared(self) -> int:
        """Bucket bounds of the last pass that some pods have and others lack."""
        return self._merge.unshared

    def add(self, pod: str, page: Page, reader: PageReader[Target], *, baseline: bool) -> None:
        """Take in a page of the pod with that uid; see Merge.add."""
        levels = reader.levels(page)
        started = levels.get(STARTED)
        self._merge.add(pod, page.counts, reader.targets, baseline=baseline, started=started)
        self._levels.append(levels)
        self.reading += 1

    def close(self, living: Collection[str], seconds: float | None) -> None:
        """End a pass, `seconds` after the one before; None for the first one."""
        increment = self._merge.close(living, seconds or 0.0)
        cells = self._merge.cells
        if seconds is not None:
            self._window.push(increment)
        brought = tally(cells, increment.counts, increment.bounds, increment.seconds)
        self.apdex = self._waited(brought)
        self.usage = usage(self._application.saturation, self._levels)
        self.total = self._merge.total()
        known = self.reading > 0 and seconds is not None
        self.recent = self._window.total(cells) if known else None
        self.read, self.reading, self._levels = self.reading, 0, []

    def recent_apdex(self) -> float | None:
        """Return the Apdex of the window, or None without requests or a bound up to T."""
        if self.recent is None:
            return None
        found = satisfaction(self.recent.good, self._application.apdex)
        return None if found is None else found.apdex(self.recent.total)

    def is_gone(self, now: float) -> bool:
        """Say whether it had no pod for so long that its counters may go."""
        return now - self.seen > FORGET_AFTER.total_seconds()

    def used_slots(self) -> set[int]:
        """Return the slots that the last page of any pod fills."""
        return self._merge.used()

    def renumber(self, moved: Sequence[int]) -> None:
        """Follow PageReader.forget."""
        self._merge.renumber(moved)

    def _waited(self, brought: Tally) -> Apdex | None:
        """Add the requests of a pass to those of before."""
        before = self.apdex
        found = satisfaction(brought.good, self._application.apdex)
        if found is None:  # with buckets, none up to T: counters that stand still would be a lie
            return None if brought.good else before
        exact = found.exact and not self._application.requests
        if before is None:
            return Apdex(found.satisfied, found.tolerating, exact)
        return Apdex(
            before.satisfied + found.satisfied, before.tolerating + found.tolerating, exact
        )


def usage(
    resources: Iterable[Saturation], pods: Sequence[Mapping[Level, float]]
) -> dict[str, Usage]:
    """Return what `pods` use of each resource; one of which no pod tells is left out."""
    found: dict[str, Usage] = {}
    for each in resources:
        name = each.resource
        told = [
            (used, _limit(each, levels))
            for levels in pods
            if (used := levels.get(Level(name, "used"))) is not None
        ]
        if not told:
            continue
        limits = [limit for _, limit in told if limit is not None]
        ratios = [used / limit for used, limit in told if limit]
        found[name] = Usage(
            used=sum(used for used, _ in told),
            limit=sum(limits) if len(limits) == len(told) else None,
            fullest=max(ratios, default=None),
        )
    return found


def _limit(resource: Saturation, levels: Mapping[Level, float]) -> float | None:
    if isinstance(resource.limit, float):
        return resource.limit
    return levels.get(Level(resource.resource, "limit"))
