"""`kpi-exporter metrics`: every metric there is, for people, as Markdown."""

from collections.abc import Iterable, Iterator

import typer

from exporter import app as composition
from exporter.contract import Metric
from exporter.kpi import CATALOGUE
from exporter.readings import TARGET, WITHIN
from exporter.running import OWN
from exporter.sources import FAMILIES as OF_SOURCES
from exporter.terminal import told


@told
def metrics() -> None:
    """Print what every metric means, as Markdown."""
    typer.echo(markdown(composition.collectors()), nl=False)


def markdown(specs: composition.Specs) -> str:
    """Return a table of the KPIs and one of each collector's metrics."""
    parts = [
        "### KPIs\n\nAs last read, for the morning check; rules and dashboards read the counters "
        "and histograms below.\n\n" + _kpis(),
    ]
    parts += [
        f"### Collector `{name}`\n\n{spec.help}\n\n{_table(spec.metrics)}"
        for name, spec in specs.items()
    ]
    parts.append(f"### Sources\n\nOf each source of a collector.\n\n{_table(OF_SOURCES)}")
    own = [metric for metric in OWN if metric is not TARGET]
    parts.append(f"### The exporter itself\n\n{_table(own)}")
    return "\n".join(parts)


def _kpis() -> str:
    rows = ["| KPI | metric | labels | target |", "|---|---|---|---|"]
    for kpi in CATALOGUE.values():
        sign = "<" if kpi.comparison == "below" else ">"
        target = "" if kpi.target is None else f"{sign} {kpi.target:g}"
        labels = _cell(", ".join(kpi.subject))
        rows.append(f"| {_cell(kpi.title)} | `{kpi.metric}` | {labels} | {target} |")
    return "\n".join(rows) + "\n\n" + _table(_about_kpis())


def _about_kpis() -> Iterator[Metric]:
    yield TARGET
    within = next(iter(WITHIN.values()))
    yield Metric(within.name, within.help, "gauge", ("kpi", "the KPI's labels"))


def _table(found: Iterable[Metric]) -> str:
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for metric in found:
        labels = _cell(", ".join(metric.labels))
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {_cell(metric.help)} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    """Return text that stays within its cell and means itself."""
    for special in "\\|<":
        text = text.replace(special, f"\\{special}")
    return " ".join(text.split())
