"""KPIs against their targets, and the sources that give them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from exporter.kpi import CATALOGUE, NODE, WORKLOAD, Kpi
from exporter.morning.amounts import amount
from exporter.morning.finding import Finding, Mark
from exporter.morning.observed import Observed, Page


class KpiValue(NamedTuple):
    """What a KPI is now, for those who compare it with what it was."""

    kpi: str
    subject: str
    """`default/web`, a node, a database; empty for the whole cluster."""
    value: float
    target: float | None

    @property
    def key(self) -> str:
        """Return what names it in a history."""
        return f"{self.kpi} {self.subject}".strip()


def judged(page: Page, kpi: Kpi, labels: Mapping[str, str]) -> tuple[Mark, str]:
    """Return what the exporter says of a KPI's value, and its target in brackets."""
    target = page.value("kpi_target", kpi=kpi.name)
    within = page.exact("kpi_within_target", {**labels, "kpi": kpi.name})
    mark = Mark.SHOWN if within is None else Mark.GOOD if within == 1 else Mark.BAD
    if target is None:
        return mark, ""
    sign = "<" if kpi.comparison == "below" else ">"
    return mark, f" (target {sign} {amount(kpi.unit, target)})"


def values(page: Page) -> list[KpiValue]:
    """Return every KPI that is known."""
    return [
        KpiValue(kpi.name, _subject(kpi, series.labels), series.value, target)
        for kpi in CATALOGUE.values()
        for target in (page.value("kpi_target", kpi=kpi.name),)
        for series in page.of(kpi.metric)
    ]


def kpi_findings(
    page: Page, kpi: Kpi, collectors: Sequence[str], before: Mapping[str, float]
) -> Iterator[Finding]:
    """Judge a KPI; `collectors` are those that measure it, `before` what it was, by key.

    Nothing is said of one that no enabled collector measures.
    """
    found = page.of(kpi.metric)
    if not found and page.configured(collectors):
        has_target = page.value("kpi_target", kpi=kpi.name) is not None
        mark = Mark.UNKNOWN if has_target else Mark.SHOWN
        yield Finding(mark, "KPIs", kpi.title, "not known")
    for series in found:
        subject = _subject(kpi, series.labels)
        mark, bound = judged(page, kpi, series.labels)
        now = amount(kpi.unit, series.value)
        then = before.get(KpiValue(kpi.name, subject, series.value, None).key)
        was = amount(kpi.unit, then) if then is not None else now
        named = f"{kpi.title}, {subject}" if subject else kpi.title
        step = _step(kpi, series.labels) if mark is Mark.BAD else ""
        yield Finding(mark, "KPIs", named, now + bound, step, "" if was == now else was)


def _step(kpi: Kpi, labels: Mapping[str, str]) -> str:
    """Return what to look at when a KPI is out of its target."""
    if kpi.subject == WORKLOAD:
        named = f"-n {labels['namespace']} {labels['workload_type']}/{labels['workload']}"
        return f"kubectl rollout history {named}; kubectl logs {named} --tail=100"
    if kpi.subject == NODE:
        return f"kubectl describe node {labels['node']}"
    return ""


def _subject(kpi: Kpi, labels: Mapping[str, str]) -> str:
    return "/".join(labels[name] for name in kpi.subject if name != "workload_type")


def sources(seen: Observed) -> Iterator[Finding]:
    """Tell which sources do not work: what they would tell is missing elsewhere."""
    page = seen.page
    for series in page.of("kpi_source_up"):
        if series.value != 1:
            name = series.named("collector", "source")
            error = seen.errors.get(name)
            text = f"does not work ({error})" if error else "does not work"
            step = "what it would tell is missing above; the exporter's log tells more"
            yield Finding(Mark.UNKNOWN, "Sources", name, text, step)
    dropped = sum(series.value for series in page.of("kpi_source_series_dropped_total"))
    if dropped:
        step = "raise max_series in the settings"
        yield Finding(Mark.UNKNOWN, "Sources", "series", "some were dropped (max_series)", step)
