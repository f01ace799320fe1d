"""The KPIs as Prometheus has them: now against their targets, and over the time of an incident."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite

from exporter.shared.errors import RunbookdError
from responder.contract import MetricsQuery, Series
from responder.domain.values import KINDS, Labels, Target
from responder.engine.services import Services
from responder.promql import selector
from responder.web.chart import Point

RULES = ".+:kpi_[a-z0-9_]+:rate"
"""Names of the recording rules of KPIs, whatever they are about."""

DEADLINE = timedelta(seconds=3)
"""A page without KPIs is worth more than no page."""

FRESH = timedelta(seconds=5)
"""How long an answer serves every page: Prometheus evaluates its rules no more often."""

REMEMBERED = "1h"
"""How long a KPI that has gone is still listed, as unknown."""

MOST = 300
"""KPIs on one page; worse ones first."""

SAMPLES = 160
"""Of one chart: one for every fourth unit of its width."""

FINEST = timedelta(seconds=1)
"""Of the step between two samples."""

SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "node_": ("node",),
    "volume_": ("namespace", "persistentvolumeclaim"),
    "database_": ("database", "pgbouncer"),
    "cluster_": (),
}

SECONDS = ("latency", "query_time")
BYTES = ("database_size", "database_growth")
RATIOS = ("availability",)


class State(StrEnum):
    """How a KPI stands."""

    OUT = "out"
    UNKNOWN = "unknown"
    WITHIN = "within"
    SHOWN = "shown"
    """It has no target."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a KPI is held to."""

    target: float
    comparison: str

    def holds(self, value: float) -> bool:
        """Say whether a value is within; the bound itself is not."""
        return value < self.target if self.comparison == "below" else value > self.target


@dataclass(frozen=True, slots=True)
class Standing:
    """One KPI of one subject, now."""

    kpi: str
    subject: str
    value: float | None
    aim: Aim | None

    @property
    def state(self) -> State:
        """Return how it stands; what is not known is never within."""
        if self.value is None:
            return State.UNKNOWN
        if self.aim is None:
            return State.SHOWN
        return State.WITHIN if self.aim.holds(self.value) else State.OUT

    @property
    def said(self) -> str:
        """Return the value in words."""
        return "unknown" if self.value is None else figure(self.kpi, self.value)

    @property
    def wanted(self) -> str:
        """Return the target in words, or empty."""
        return f"{self.aim.comparison} {figure(self.kpi, self.aim.target)}" if self.aim else ""


@dataclass(frozen=True, slots=True)
class Board:
    """Every KPI there is, by subject; or why there is none."""

    subjects: Mapping[str, Sequence[Standing]]
    problem: str = ""
    left_out: int = 0

    def count(self, state: State) -> int:
        """Return how many stand so."""
        return sum(one.state == state for found in self.subjects.values() for one in found)


@dataclass(frozen=True, slots=True)
class History:
    """One KPI over a span of time; or why nothing is known of it."""

    kpi: str
    points: Sequence[Point] = ()
    aim: Aim | None = None
    problem: str = ""

    @property
    def target(self) -> float | None:
        """Return the bound, or None when there is none."""
        return self.aim.target if self.aim else None

    @property
    def wanted(self) -> str:
        """Return the target in words, or empty."""
        return f"{self.aim.comparison} {figure(self.kpi, self.aim.target)}" if self.aim else ""


class Kpis:
    """Asks Prometheus for the console; an answer serves every page for a few seconds."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asking = asyncio.Lock()
        self._board = Board({})
        self._asked_at: float | None = None

    async def board(self) -> Board:
        """Return how every KPI stands. A Prometheus that is away is said on the board."""
        clock = self._services.clock
        async with self._asking:
            is_old = self._asked_at is None or (
                clock.monotonic() - self._asked_at > FRESH.total_seconds()
            )
            if is_old:
                self._board = await self._ask()
                self._asked_at = clock.monotonic()
            return self._board

    async def targets(self) -> list[str]:
        """Return the workloads that KPIs are known of, as targets are written."""
        subjects = (await self.board()).subjects
        return [one for one in subjects if one.partition("/")[0] in KINDS]

    async def history(
        self, kpi: str, subject: Labels, span: tuple[datetime, datetime], step: timedelta
    ) -> History:
        """Return one KPI of one subject over `span`."""
        query = self._services.query
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                aim = (await _aims(query)).get(kpi)
                rule = _named(selector({"__name__": f".+:kpi_{kpi}:rate", **subject}))
                found = await query.over(rule, *span, step)
        except TimeoutError:
            return History(kpi, problem="Prometheus did not answer in time")
        except RunbookdError as error:
            return History(kpi, problem=str(error))
        if len(found) > 1:
            return History(kpi, aim=aim, problem=f"Prometheus has {len(found)} series of {kpi}")
        points = [point for point in found[0].points if isfinite(point[1])] if found else []
        return History(kpi, points, aim, "" if points else f"Prometheus has no sample of {kpi}")

    async def _ask(self) -> Board:
        query = self._services.query
        rules = _named(selector({"__name__": RULES}))
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                aims, now, lately = await asyncio.gather(
                    _aims(query),
                    query.instant(rules),
                    query.instant(f"last_over_time({rules}[{REMEMBERED}])"),
                )
        except TimeoutError:
            return Board({}, "Prometheus did not answer in time")
        except RunbookdError as error:
            return Board({}, str(error))
        return board_of(now, lately, aims)


def board_of(now: Iterable[Series], lately: Iterable[Series], aims: Mapping[str, Aim]) -> Board:
    """Put the values of `now` on a board; what there was `lately` and is no more is unknown."""
    values = {_key(one): one.value for one in now}
    known = {_key(one) for one in lately} | set(values)
    standings = [
        Standing(kpi, subject, _finite(values.get((subject, kpi))), aims.get(kpi))
        for subject, kpi in sorted(known)
    ]
    worst_first = sorted(standings, key=lambda one: list(State).index(one.state))
    kept = set(worst_first[:MOST])
    subjects: dict[str, list[Standing]] = {}
    for one in standings:
        if one in kept:
            subjects.setdefault(one.subject, []).append(one)
    return Board(subjects, left_out=len(standings) - len(kept))


def subject_of(kpi: str, target: Target, labels: Labels) -> Labels | None:
    """Return the labels of a KPI's series for an incident; None when its alert names no subject.

    What a KPI is about stands at the front of its name; without such a word it is a workload.
    """
    names = next((found for word, found in SUBJECTS.items() if kpi.startswith(word)), None)
    if names is None:
        kind = target.kind.lower()
        return {"namespace": target.namespace, "workload": target.name, "workload_type": kind}
    subject = {name: labels[name] for name in names if name in labels}
    return subject if subject or not names else None


def figure(kpi: str, value: float) -> str:
    """Write a value in the unit that the KPI's name tells."""
    if any(word in kpi for word in SECONDS):
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if kpi.endswith("_ratio") or kpi in RATIOS:
        return f"{value * 100:.4g} %"
    if kpi in BYTES:
        return f"{value / 2**20:.4g} MiB{'/day' if 'growth' in kpi else ''}"
    said = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{said}{'/s' if kpi == 'throughput' else ''}"


def _key(series: Series) -> tuple[str, str]:
    """Return subject and KPI of a recording rule's series."""
    labels = dict(series.labels)
    kpi = labels.pop("__name__", "").partition(":kpi_")[2].partition(":")[0]
    kind = labels.pop("workload_type", "")
    subject = "/".join(value for _, value in sorted(labels.items())) or "cluster"
    return f"{kind}/{subject}" if kind else subject, kpi


async def _aims(query: MetricsQuery) -> Mapping[str, Aim]:
    found = await query.instant("max by (kpi, comparison) (kpi_target)")
    return {
        one.labels.get("kpi", ""): Aim(one.value, one.labels.get("comparison", ""))
        for one in found
        if one.labels.get("comparison") in ("below", "above") and isfinite(one.value)
    }


def _named(matchers: str) -> str:
    """Have the name of the series matched as a pattern."""
    return matchers.replace("__name__=", "__name__=~", 1)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
