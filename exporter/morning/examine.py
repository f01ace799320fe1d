"""The morning check of the operations guide, in its order; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from exporter.kpi import CATALOGUE
from exporter.morning.cluster import control_plane, nodes, pods, services
from exporter.morning.databases import databases, poolers
from exporter.morning.events import events
from exporter.morning.finding import Finding, Mark, bounded
from exporter.morning.kpis import kpi_findings, sources
from exporter.morning.observed import Observed
from exporter.morning.platform import aws, backups, certificates, drift, posture, releases
from exporter.morning.probes import probes
from exporter.morning.usage import top_nodes, top_pods

Part = Callable[[Observed], Iterable[Finding]]

GUIDE: tuple[tuple[str, str, Part], ...] = (
    ("Nodes", "kubernetes", nodes),
    ("Control plane", "kubernetes", control_plane),
    ("Pods", "kubernetes", pods),
    ("Services", "kubernetes", services),
    ("Top nodes", "usage", top_nodes),
    ("Top pods", "usage", top_pods),
    ("Events", "kubernetes", events),
    ("Probes", "http_probe", probes),
    ("Databases", "postgres", databases),
)
"""The guide's parts: without a collector they say so, and with one that tells nothing, too."""

BEYOND: tuple[Part, ...] = (poolers, backups, releases, certificates, aws, drift, posture)
"""What is told where it is enabled, and not mentioned elsewhere."""

ELSEWHERE: Mapping[str, str] = {
    "node_cpu_ratio": "kpi_node_cpu_ratio",
    "node_memory_ratio": "kpi_node_memory_ratio",
    "unready_pods": "kpi_pod_phase",
}
"""KPIs that a part of the guide tells, each with the family that it reads: where that is there, the
KPI is not told again among the KPIs."""


def examine(
    seen: Observed,
    feeds: Mapping[str, Sequence[str]],
    before: Mapping[str, float] = MappingProxyType({}),
) -> list[Finding]:
    """Judge what is seen.

    `feeds` tells which collectors give readings of each KPI, `before` what KPIs were, by their key.
    """
    findings: list[Finding] = []
    for section, collector, judge in GUIDE:
        if not seen.page.configured([collector]):
            text = f"collector {collector} is not enabled"
            findings.append(Finding(Mark.SHOWN, section, "", text))
            continue
        found = list(judge(seen))
        findings += bounded(found) or [Finding(Mark.UNKNOWN, section, "", "nothing is known")]
    for judge in BEYOND:
        findings += bounded(list(judge(seen)))
    unmeasured = []
    for kpi in CATALOGUE.values():
        if kpi.name in ELSEWHERE and seen.page.of(ELSEWHERE[kpi.name]):
            continue
        told = list(kpi_findings(seen.page, kpi, feeds.get(kpi.name, ()), before))
        findings += bounded(told)
        unmeasured += [] if told else [kpi.title]
    if unmeasured:
        text = f"no enabled collector measures {', '.join(unmeasured)}"
        findings.append(Finding(Mark.SHOWN, "KPIs", "", text))
    return findings + bounded(list(sources(seen)))
