"""What a dashboard is here: questions in the order in which they are asked; no Grafana yet.

A panel's title is a question or its answer's name, `about` says what to look for and what to do.
`charts.dashboards.render` makes Grafana's JSON of it.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from exporter.kpi import WORKLOAD

Calculation = Literal["lastNotNull", "max", "min", "sum"]

OF_WORKLOAD = 'namespace=~"$namespace", workload=~"$workload"'
"""Matchers for what bears the labels of a workload."""
OF_NODE = 'node=~"$node"'
OF_NAMESPACE = 'namespace=~"$namespace"'
WORKLOAD_NAME = "{{namespace}}/{{workload}}"
POD_NAME = "{{namespace}}/{{pod}}"
CLAIM_NAME = "{{namespace}}/{{persistentvolumeclaim}}"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression in PromQL; `$…` are Grafana's variables."""

    expr: str
    legend: str
    step: str = ""
    """Prometheus duration from one value to the next, where the source is slower than the scrapes:
    `$__rate_interval` is then four of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What all panels have; Grafana's grid is 24 wide, and 8 of its rows fill a quarter screen."""

    title: str
    about: str
    unit: str
    """Grafana's id of a unit: `s`, `bytes`, `percentunit`, `reqps`, `short` …"""
    queries: tuple[Query, ...]
    decimals: int | None = None
    """Where Grafana's own rounding would hide which side of its bound a value is on."""
    width: int = 12
    height: int = 8
    guides: tuple[str, ...] = ()
    """Alerts whose guide pages tell what to do."""
    absent: str = ""
    """What stands there while there is no series; by default Grafana's own words."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines(Panel):
    """Values over time."""

    target: str = ""
    """PromQL of a bound, drawn as a dashed line."""
    stacked: bool = False
    low: float | None = 0.0
    """Where the axis begins; None lets it follow the values."""

    kind: ClassVar[str] = "timeseries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Panel):
    """One value of now, or one for each series."""

    width: int = 4
    height: int = 4
    bad_above: float | None = None
    """Red from here on, green below."""
    bad_below: float | None = None
    """Green from here on, red below."""
    absent: str = "no data"

    kind: ClassVar[str] = "stat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat(Panel):
    """How the observations of a histogram are spread, over time; the query gives its buckets."""

    kind: ClassVar[str] = "heatmap"


@dataclass(frozen=True, slots=True, kw_only=True)
class States(Panel):
    """Series of 1 and 0 over time, in words."""

    width: int = 24
    yes: str
    no: str
    good: bool = True
    """Whether 1 is the good state."""

    kind: ClassVar[str] = "state-timeline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars(Panel):
    """Values of now beside each other, longest first where the query sorts them."""

    absent: str = "none"

    kind: ClassVar[str] = "bargauge"


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one question, laid out from the left."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of the dashboard: one or several values of a label, or all."""

    name: str
    label: str
    query: str
    """Grafana's `label_values(…)`."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is marked in every panel: times at which an expression is above 0."""

    name: str
    expr: str
    title: str
    color: str


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard."""

    uid: str
    """Stable: addresses and links hold it."""
    title: str
    about: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    events: tuple[Event, ...] = ()
    since: str = "now-6h"
    tags: tuple[str, ...] = field(default=("runbookd",))


def gauge(metric: str, *labels: str, where: str = "") -> str:
    """Return the value by `labels`: of several exporters that see the same one, the highest."""
    return _by("max", _of(metric, where), labels)


def least(metric: str, *labels: str, where: str = "") -> str:
    """Return the value by `labels`: of several the lowest, as for what must be 1."""
    return _by("min", _of(metric, where), labels)


def rate(metric: str, *labels: str, where: str = "") -> str:
    """Return how fast a counter grows, per second and by `labels`."""
    return _by("max", f"rate({_of(metric, where)}[$__rate_interval])", labels)


def increase(metric: str, *labels: str, where: str = "", window: str = "$__rate_interval") -> str:
    """Return by how much a counter grew in `window`, by `labels`."""
    return _by("max", f"increase({_of(metric, where)}[{window}])", labels)


def happened(metric: str, where: str = "") -> str:
    """Return how often something rare happened since the look before, series by series.

    For counters that begin with their first event: they begin at 1, and `increase` sees no rise in
    that. Those that say 0 before it need no more than `increase`.
    """
    series, window = _of(metric, where), "$__rate_interval"
    return f"(({series} unless {series} offset {window}) or increase({series}[{window}]))"


def rare(metric: str, *labels: str, where: str = "") -> str:
    """Return how often something rare happened, by `labels`, for two exporters that both see it."""
    return _by("max", happened(metric, where), labels)


def age(metric: str, *labels: str, where: str = "") -> str:
    """Return how many seconds ago something was, by `labels`; of several times the latest."""
    return f"time() - {gauge(metric, *labels, where=where)}"


def how_many(expr: str) -> str:
    """Return the number of series, 0 where there is none."""
    return f"count({expr}) or vector(0)"


def total(expr: str, *labels: str) -> str:
    """Return the sum of different things by `labels`."""
    return _by("sum", expr, labels)


def highest(count: int, expr: str) -> str:
    """Return the `count` highest, highest first."""
    return f"sort_desc(topk({count}, {expr}))"


def _of(metric: str, where: str) -> str:
    return f"{metric}{{{where}}}" if where else metric


def _by(operation: str, expr: str, labels: tuple[str, ...]) -> str:
    by = f" by ({', '.join(labels)}) " if labels else ""
    return f"{operation}{by}({expr})"


NAMESPACE = Variable(
    "namespace", "Namespace", "label_values(kpi_workload_replicas_desired, namespace)"
)
WORKLOADS = Variable(
    "workload",
    "Workload",
    'label_values(kpi_workload_replicas_desired{namespace=~"$namespace"}, workload)',
)
NODES = Variable("node", "Node", "label_values(kpi_node_ready, node)")
DATABASES = Variable("database", "Database", "label_values(kpi_postgres_up, database)")

ROLLOUTS = Event(
    "Rollouts",
    # A minute is what Grafana asks for between two marks.
    _by("max", f"max_over_time(kpi_workload_rollout_in_progress{{{OF_WORKLOAD}}}[1m])", WORKLOAD)
    + " > 0",
    "Rollout of {{workload_type}} " + WORKLOAD_NAME,
    "blue",
)
ALERTS = Event(
    "Critical alerts",
    'max by (alertname) (ALERTS{alertname=~"Kpi.+", alertstate="firing", severity="critical"})',
    "{{alertname}}",
    "red",
)
