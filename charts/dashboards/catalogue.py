"""Panels of the KPI catalogue: the recording rule's line beside its target's."""

from collections.abc import Mapping

from charts.dashboards.board import OF_WORKLOAD, WORKLOAD_NAME, Lines, Number, Query
from exporter.kpi import CATALOGUE, CLAIM, CLUSTER, DATABASE, NODE, WORKLOAD, Kpi, Unit

UNITS: Mapping[Unit, str] = {
    "seconds": "s",
    "ratio": "percentunit",
    "requests_per_second": "reqps",
    "per_day": "short",
    "bytes": "bytes",
    "bytes_per_day": "bytes",
    "count": "short",
}
"""The catalogue's units as Grafana's."""

DECIMALS: Mapping[str, int] = {"availability": 3, "apdex": 2}
"""Near 1: 99.95 % rounded is 100 %."""

SUBJECTS: Mapping[tuple[str, ...], tuple[str, str, str]] = {
    WORKLOAD: ("namespace_workload", OF_WORKLOAD, WORKLOAD_NAME),
    NODE: ("node", 'node=~"$node"', "{{node}}"),
    CLAIM: (
        "namespace_persistentvolumeclaim",
        'namespace=~"$namespace"',
        "{{namespace}}/{{persistentvolumeclaim}}",
    ),
    CLUSTER: ("cluster", "", "cluster"),
    DATABASE: ("database", 'database=~"$database"', "{{database}}"),
    (*DATABASE, "pgbouncer"): (
        "database_pgbouncer",
        'database=~"$database"',
        "{{database}} by {{pgbouncer}}",
    ),
}
"""Of what a KPI is measured: the recording rules' level, the matchers, the name of one."""


def recorded(name: str, where: str | None = None) -> str:
    """Return the recording rule of a KPI, for what is chosen in the dashboard or `where` says."""
    level, chosen, _ = SUBJECTS[CATALOGUE[name].subject]
    matchers = chosen if where is None else where
    return f"{level}:kpi_{name}:rate" + (f"{{{matchers}}}" if matchers else "")


def target(name: str) -> str:
    """Return the bound of a KPI that is in force."""
    return f'max(kpi_target{{kpi="{name}"}})'


def kpi_lines(
    name: str,
    title: str,
    about: str,
    *,
    guide: str = "",
    width: int = 12,
    where: str | None = None,
) -> Lines:
    """Return a KPI over time, with its target where it has one."""
    kpi = CATALOGUE[name]
    return Lines(
        title=title,
        about=about,
        unit=_unit(kpi),
        decimals=DECIMALS.get(name),
        queries=(Query(recorded(name, where), SUBJECTS[kpi.subject][2]),),
        target=target(name) if kpi.target is not None else "",
        # Near 1 a line from 0 on would hide everything.
        low=None if kpi.comparison == "above" else 0.0,
        guides=(guide,) if guide else (),
        width=width,
    )


def kpi_number(name: str, title: str, about: str, *, over: str = "max", width: int = 4) -> Number:
    """Return a KPI's value of now: `over` (max, min, sum) says of which of several."""
    return Number(
        title=title,
        about=about,
        unit=_unit(CATALOGUE[name]),
        decimals=DECIMALS.get(name),
        queries=(Query(f"{over}({recorded(name)})", title),),
        width=width,
    )


def _unit(kpi: Kpi) -> str:
    """Return Grafana's unit; Apdex is an index, and nobody says it in percent."""
    return "none" if kpi.name == "apdex" else UNITS[kpi.unit]


RESTARTS = kpi_lines(
    "restarts_per_day",
    "Restarts per day",
    "Of all pods of the workload, over the last 24 hours.",
    guide="KpiPodRestarting",
)
