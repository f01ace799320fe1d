"""Probes of addresses: the frontend, the backend, whatever else is asked."""

from collections.abc import Iterator, Sequence

from exporter.morning.amounts import amount
from exporter.morning.finding import Finding, Mark
from exporter.morning.observed import Observed, Series


def probes(seen: Observed) -> Iterator[Finding]:
    """Tell which addresses answer as expected, and why the others do not."""
    page = seen.page
    for series in page.of("kpi_probe_success"):
        probe = series.labels["probe"]
        if series.value == 1:
            seconds = page.value("kpi_probe_duration_seconds", probe=probe)
            took = f" in {amount('seconds', seconds)}" if seconds is not None else ""
            yield Finding(Mark.GOOD, "Probes", probe, f"answers{took}")
        else:
            status = page.value("kpi_probe_status_code", probe=probe)
            answer = f"answers with status {status:.0f}" if status else "does not answer"
            reasons = [
                each.labels["reason"] for each in page.of("kpi_probe_failure_reason", probe=probe)
            ]
            yield Finding(Mark.BAD, "Probes", probe, _why(answer, reasons), _step(series))
    for series in page.of("kpi_probe_skipped_reason"):
        text = _why("cannot be probed", [series.labels["reason"]])
        yield Finding(Mark.UNKNOWN, "Probes", series.labels["probe"], text)
    for series in page.of("kpi_probe_suspect"):
        if series.value:
            text = "not known: the exporter itself was held up"
            yield Finding(Mark.UNKNOWN, "Probes", series.labels["probe"], text)


def _step(series: Series) -> str:
    """Return what to look at behind a probe that says what it asks."""
    namespace, workload = series.labels.get("namespace", ""), series.labels.get("workload", "")
    kind = series.labels.get("workload_type", "")
    if not (namespace and workload and kind):
        return "curl -v the address that the probe asks"
    return f"kubectl logs -n {namespace} {kind}/{workload} --tail=100"


def _why(text: str, reasons: Sequence[str]) -> str:
    """Put the reasons of a finding behind it; a status speaks for itself."""
    words = ", ".join(reason.replace("_", " ") for reason in reasons if reason != "status")
    return f"{text} ({words})" if words else text
