"""Asks a bed's Prometheus what the shipped dashboards ask."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from exporter.app import collectors
from exporter.kpi import CATALOGUE
from tests.bed import dashboards
from tests.bed.process import BedError
from tests.bed.prometheus import Prometheus
from tests.bed.rules import shipped

LOOK_BACK = "3m"
"""What had a value within this time was drawn: rare events are over when the dashboards are asked.
"""
STEP = "1s"


@dataclass(frozen=True)
class Answers:
    """What Prometheus said."""

    refused: list[str] = field(default_factory=list)
    """Expressions that it calls wrong, with its words."""
    silent: list[str] = field(default_factory=list)
    """Expressions without a single series, that nothing excuses."""
    idle: list[str] = field(default_factory=list)
    """Excuses that nothing needs: what they name has data."""


def measured() -> set[str]:
    """Return what the collector `usage` tells, and the rules over it: all of a real cluster."""
    usage = collectors()["usage"]
    own = {metric.name for metric in usage.metrics}
    own |= {CATALOGUE[kpi].metric for kpi in usage.kpis}
    return own | {name for name, rule in shipped().recordings.items() if rule.metrics & own}


async def answers(
    prometheus: Prometheus, excuses: Mapping[str, str], only: AbstractSet[str] = frozenset()
) -> Answers:
    """Ask for every expression, or those that read one of the metrics `only`.

    `excuses` are metrics that have no data here, each with why.
    """
    found = Answers()
    for board in dashboards.shipped().values():
        for asked in dashboards.asked(board):
            reads = {each.name for each in dashboards.selected(asked.expr)}
            if only and not reads & only:
                continue
            try:
                await prometheus.query(asked.expr)
                drawn = await prometheus.query(
                    f"count_over_time(({asked.expr})[{LOOK_BACK}:{STEP}])"
                )
            except BedError as error:
                found.refused.append(f"{asked.where}: {error}")
                continue
            if not drawn and not reads & excuses.keys():
                found.silent.append(f"{asked.where}: {asked.expr}")
    for metric in excuses:
        if await prometheus.query(f"count_over_time({metric}[{LOOK_BACK}])"):
            found.idle.append(metric)
    return found
