"""The morning check of the operations guide, in its order, read from exposed series; pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from exporter.kpi import CATALOGUE, Kpi
from exporter.shared.errors import PermanentError


class Mark(StrEnum):
    """What a finding means."""

    GOOD = "✓"
    BAD = "✗"
    UNKNOWN = "?"
    SHOWN = "·"
    """Nothing to judge: a value without a target, or a part that is not configured."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check."""

    mark: Mark
    section: str
    subject: str
    text: str


class Series(NamedTuple):
    """One exposed sample."""

    labels: Mapping[str, str]
    value: float


class Page:
    """Exposed series by sample name."""

    def __init__(self, text: str) -> None:
        """Read an exposition. Raises PermanentError when it is none."""
        self._series: dict[str, list[Series]] = {}
        try:
            families = list(text_string_to_metric_families(text))
        except ValueError as error:
            raise PermanentError("what was read is no page of metrics") from error
        for sample in chain.from_iterable(family.samples for family in families):
            self._series.setdefault(sample.name, []).append(Series(sample.labels, sample.value))

    def of(self, name: str, **wanted: str) -> list[Series]:
        """Return the series called `name` that carry all `wanted` labels."""
        return [
            series
            for series in self._series.get(name, ())
            if all(series.labels.get(key) == value for key, value in wanted.items())
        ]

    def value(self, name: str, **wanted: str) -> float | None:
        """Return the value of the first such series, or None."""
        found = self.of(name, **wanted)
        return found[0].value if found else None

    def configured(self, collectors: Iterable[str]) -> bool:
        """Say whether one of the collectors has a source."""
        return any(self.of("kpi_source_up", collector=name) for name in collectors)


def examine(page: Page, feeds: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Judge what is exposed; `feeds` tells which collectors give readings of each KPI."""
    parts: tuple[tuple[str, str, Callable[[Page], Iterable[Finding]]], ...] = (
        ("Nodes", "kubernetes", _nodes),
        ("Pods", "kubernetes", _pods),
        ("Probes", "http_probe", _probes),
        ("Databases", "postgres", _databases),
    )
    findings: list[Finding] = []
    for section, collector, judge in parts:
        if not page.configured([collector]):
            findings.append(
                Finding(Mark.SHOWN, section, "", f"collector {collector} is not enabled")
            )
            continue
        found = list(judge(page))
        findings += found or [Finding(Mark.UNKNOWN, section, "", "nothing is known")]
    for kpi in CATALOGUE.values():
        findings += _kpi(page, kpi, feeds.get(kpi.name, ()))
    return [*findings, *_sources(page)]


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 when anything is bad, else 3 when anything is unknown, else 0."""
    marks = {finding.mark for finding in findings}
    if Mark.BAD in marks:
        return 1
    return 3 if Mark.UNKNOWN in marks else 0


def _nodes(page: Page) -> Iterator[Finding]:
    nodes = page.of("kpi_node_ready")
    bad = [series.labels["node"] for series in nodes if series.value != 1]
    for node in bad:
        yield Finding(Mark.BAD, "Nodes", node, "is not ready")
    if nodes and not bad:
        yield Finding(Mark.GOOD, "Nodes", f"{len(nodes)}", "all ready")
    for series in page.of("kpi_node_unschedulable"):
        if series.value:
            yield Finding(Mark.SHOWN, "Nodes", series.labels["node"], "takes no new pods")


def _pods(page: Page) -> Iterator[Finding]:
    phases = page.of("kpi_pod_phase")
    healthy = 0
    for series in phases:
        namespace, pod = series.labels["namespace"], series.labels["pod"]
        phase = series.labels["phase"]
        ready = page.value("kpi_pod_ready", namespace=namespace, pod=pod) == 1
        if phase == "Succeeded" or (phase == "Running" and ready):
            healthy += 1
            continue
        waiting = page.of("kpi_pod_container_waiting_reason", namespace=namespace, pod=pod)
        why = ", ".join(sorted({each.labels["reason"] for each in waiting}))
        state = f"{phase}, not ready" if phase == "Running" else phase
        text = f"{state} ({why})" if why else state
        yield Finding(Mark.BAD, "Pods", f"{namespace}/{pod}", text)
    if phases and healthy == len(phases):
        yield Finding(Mark.GOOD, "Pods", f"{healthy}", "all healthy")


def _probes(page: Page) -> Iterator[Finding]:
    for series in page.of("kpi_probe_success"):
        probe = series.labels["probe"]
        seconds = page.value("kpi_probe_duration_seconds", probe=probe)
        took = f" in {_amount('seconds', seconds)}" if seconds is not None else ""
        if series.value == 1:
            yield Finding(Mark.GOOD, "Probes", probe, f"answers{took}")
        else:
            status = page.value("kpi_probe_status_code", probe=probe)
            answer = f"answers with status {status:.0f}" if status else "does not answer"
            reasons = [
                each.labels["reason"] for each in page.of("kpi_probe_failure_reason", probe=probe)
            ]
            yield Finding(Mark.BAD, "Probes", probe, _why(answer, reasons))
    for series in page.of("kpi_probe_skipped_reason"):
        text = _why("cannot be probed", [series.labels["reason"]])
        yield Finding(Mark.UNKNOWN, "Probes", series.labels["probe"], text)
    for series in page.of("kpi_probe_suspect"):
        if series.value:
            text = "not known: the exporter itself was held up"
            yield Finding(Mark.UNKNOWN, "Probes", series.labels["probe"], text)


def _why(text: str, reasons: Sequence[str]) -> str:
    """Put the reasons of a finding behind it; a status speaks for itself."""
    words = ", ".join(reason.replace("_", " ") for reason in reasons if reason != "status")
    return f"{text} ({words})" if words else text


def _databases(page: Page) -> Iterator[Finding]:
    for series in page.of("kpi_postgres_up"):
        name = series.labels["database"]
        used = page.value("kpi_postgres_connections_used", database=name)
        limit = page.value("kpi_postgres_max_connections", database=name)
        known = used is not None and limit is not None
        text = f"is up, {used:.0f} of {limit:.0f} connections used" if known else "is up"
        if series.value == 1:
            yield Finding(Mark.GOOD, "Databases", name, text)
        else:
            yield Finding(Mark.BAD, "Databases", name, "cannot be reached")


def _kpi(page: Page, kpi: Kpi, collectors: Sequence[str]) -> Iterator[Finding]:
    target = page.value("kpi_target", kpi=kpi.name)
    values = page.of(kpi.metric)
    if not values:
        known = page.configured(collectors)
        mark = Mark.UNKNOWN if known and target is not None else Mark.SHOWN
        text = "not known" if known else "no enabled collector measures it"
        yield Finding(mark, "KPIs", kpi.title, text)
    for series in values:
        subject = "/".join(series.labels[name] for name in kpi.subject if name != "workload_type")
        within = page.value("kpi_within_target", kpi=kpi.name, **series.labels)
        text = f"{subject}: {_amount(kpi.unit, series.value)}"
        if target is not None:
            sign = "<" if kpi.comparison == "below" else ">"
            text += f" (target {sign} {_amount(kpi.unit, target)})"
        mark = Mark.SHOWN if within is None else Mark.GOOD if within == 1 else Mark.BAD
        yield Finding(mark, "KPIs", kpi.title, text)


def _sources(page: Page) -> Iterator[Finding]:
    for series in page.of("kpi_source_up"):
        if series.value != 1:
            name = f"{series.labels['collector']}/{series.labels['source']}"
            text = "does not work; what it would tell is missing above"
            yield Finding(Mark.UNKNOWN, "Sources", name, text)
    dropped = sum(series.value for series in page.of("kpi_source_series_dropped_total"))
    if dropped:
        yield Finding(Mark.UNKNOWN, "Sources", "series", "some were dropped (max_series)")


def _amount(unit: str, value: float) -> str:
    match unit:
        case "seconds":
            return f"{value * 1000:.0f} ms" if value < 10 else f"{value:.1f} s"
        case "ratio":
            return f"{value:.2%}".replace("%", " %")
        case "requests_per_second":
            return f"{value:.1f} requests/s"
        case "bytes":
            return _bytes(value)
        case "bytes_per_day":
            return f"{_bytes(value)} per day"
        case _:
            return f"{value:g}"


def _bytes(value: float) -> str:
    """Write a size with the largest unit of 1024 that leaves a whole part."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
