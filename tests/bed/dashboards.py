"""The shipped dashboards as data: what tests read."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import promql_parser

from tests.bed.settings import HOME

FOLDER = HOME / "charts" / "runbookd" / "files" / "dashboards"
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_MEANINGS: Mapping[str, str] = {"__rate_interval": "1m", "__interval": "15s", "__range": "6h"}
_ANYTHING = ".*"
"""What a choice stands for while all is chosen."""


class Place(msgspec.Struct, frozen=True):
    """Where a panel is, on a grid that is 24 wide."""

    x: int
    y: int
    w: int
    h: int

    def overlaps(self, other: "Place") -> bool:
        """Say whether the two share a place."""
        beside = self.x + self.w <= other.x or other.x + other.w <= self.x
        above = self.y + self.h <= other.y or other.y + other.h <= self.y
        return not (beside or above)


class Source(msgspec.Struct, frozen=True):
    """Where data comes from."""

    uid: str = ""
    type: str = ""


class Target(msgspec.Struct, rename="camel"):
    """One query of a panel."""

    expr: str
    legend_format: str = ""
    datasource: Source = Source()
    ref_id: str = ""
    interval: str = ""


class Link(msgspec.Struct):
    """A way to somewhere else."""

    title: str = ""
    url: str = ""
    tags: list[str] = []


class _Step(msgspec.Struct):
    value: float | None = None


class _Thresholds(msgspec.Struct):
    steps: list[_Step] = []


class _Defaults(msgspec.Struct, rename="camel"):
    unit: str = ""
    no_value: str = ""
    thresholds: _Thresholds = msgspec.field(default_factory=_Thresholds)


class _FieldConfig(msgspec.Struct):
    defaults: _Defaults = msgspec.field(default_factory=_Defaults)


class Panel(msgspec.Struct, rename="camel"):
    """A panel, or a row's title."""

    id: int
    type: str
    title: str
    grid_pos: Place
    description: str = ""
    datasource: Source = Source()
    targets: list[Target] = []
    links: list[Link] = []
    panels: list[object] = []
    field_config: _FieldConfig = msgspec.field(default_factory=_FieldConfig)

    @property
    def unit(self) -> str:
        """The unit of its values."""
        return self.field_config.defaults.unit

    @property
    def no_value(self) -> str:
        """What stands there while there is no series, where it is not Grafana's own words."""
        return self.field_config.defaults.no_value

    @property
    def thresholds(self) -> set[float]:
        """Values from which on it has another colour."""
        steps = self.field_config.defaults.thresholds.steps
        return {step.value for step in steps if step.value is not None}


class Variable(msgspec.Struct):
    """A choice at the top."""

    name: str
    type: str
    query: str
    datasource: Source = Source()


class _Templating(msgspec.Struct):
    variables: list[Variable] = msgspec.field(name="list")


class Mark(msgspec.Struct):
    """What is marked in every panel."""

    name: str
    expr: str
    datasource: Source


class _Annotations(msgspec.Struct):
    marks: list[Mark] = msgspec.field(name="list", default_factory=list)


class Dashboard(msgspec.Struct):
    """A dashboard."""

    uid: str
    title: str
    tags: list[str]
    panels: list[Panel]
    templating: _Templating
    annotations: _Annotations
    links: list[Link]


@dataclass(frozen=True)
class Asked:
    """An expression, and who asks."""

    where: str
    expr: str
    """With every variable replaced, as Prometheus gets it."""


def files() -> list[Path]:
    """Return the dashboards' files."""
    return sorted(FOLDER.glob("*.json"))


def shipped() -> dict[str, Dashboard]:
    """Read every dashboard, by its file's name."""
    return {file.stem: msgspec.json.decode(file.read_bytes(), type=Dashboard) for file in files()}


def filled(expr: str) -> str:
    """Put in what Grafana would, with everything chosen."""
    return _VARIABLE.sub(lambda found: _MEANINGS.get(found[1], _ANYTHING), expr)


def variables(expr: str) -> set[str]:
    """Return the names of the dashboard's variables in an expression."""
    return set(_VARIABLE.findall(expr)) - _MEANINGS.keys()


def asked(board: Dashboard) -> Iterator[Asked]:
    """Return every expression of a dashboard's panels and marks."""
    for panel in board.panels:
        for target in panel.targets:
            yield Asked(f"{board.title}: {panel.title} ({target.ref_id})", filled(target.expr))
    for mark in board.annotations.marks:
        yield Asked(f"{board.title}: {mark.name}", filled(mark.expr))


@dataclass(frozen=True)
class Selected:
    """What an expression reads of one metric."""

    name: str
    matched: frozenset[str]
    """Labels that the selector looks at."""
    folded: str
    """The innermost aggregation around it as it is written (`max`), or nothing."""
    by: frozenset[str]
    """The labels that this aggregation keeps."""


def selected(expr: str) -> list[Selected]:
    """Parse an expression and return what it reads. Raises ValueError when it does not parse."""
    found: list[Selected] = []
    around: list[promql_parser.AggregateExpr] = []

    def enter(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            around.append(node)
        elif isinstance(node, promql_parser.VectorSelector):
            inner = around[-1] if around else None
            by = inner.modifier.labels if inner and inner.modifier else []
            matched = frozenset(one.name for one in node.matchers.matchers)
            folded = str(inner.op) if inner else ""
            found.append(Selected(str(node.name), matched, folded, frozenset(by)))

    def leave(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            around.pop()

    promql_parser.walk(promql_parser.parse(expr), enter, leave)
    return found
