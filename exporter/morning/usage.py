"""What is used: nodes by CPU against their targets, and the pods that hold the most memory."""

from collections.abc import Iterator

from exporter.kpi import CATALOGUE
from exporter.morning.amounts import amount, size
from exporter.morning.finding import Finding, Mark
from exporter.morning.kpis import judged
from exporter.morning.observed import Observed, Page

TOP_PODS = 10

NODE_KPIS = {"node_cpu_ratio": "CPU", "node_memory_ratio": "memory"}
"""KPIs that are judged here, and what each is the ratio of."""


def top_nodes(seen: Observed) -> Iterator[Finding]:
    """Tell what each node uses, the busiest first."""
    page = seen.page
    used = page.of("kpi_node_cpu_usage_cores") + page.of("kpi_node_memory_usage_bytes")
    names = {series.labels["node"] for series in used}
    busy = {node: page.value("kpi_node_cpu_ratio", node=node) or 0.0 for node in names}
    for node in sorted(names, key=lambda name: (-busy[name], name)):
        yield _node(page, node)


def _node(page: Page, node: str) -> Finding:
    marks, parts = [], []
    for name, word in NODE_KPIS.items():
        kpi = CATALOGUE[name]
        ratio = page.value(kpi.metric, node=node)
        if ratio is None:
            continue
        mark, bound = judged(page, kpi, {"node": node})
        marks.append(mark)
        parts.append(f"{word} {amount('ratio', ratio)}{bound}")
    text = ", ".join(parts) or "what it has is not known"
    step = "kubectl top pods -A --sort-by=cpu; kubectl describe node " + node
    if Mark.BAD in marks:
        return Finding(Mark.BAD, "Top nodes", node, text, step)
    all_good = marks and set(marks) == {Mark.GOOD}
    return Finding(Mark.GOOD if all_good else Mark.SHOWN, "Top nodes", node, text)


def top_pods(seen: Observed) -> Iterator[Finding]:
    """Tell which pods hold the most memory, and how much of their limit that is."""
    page = seen.page
    used = page.of("kpi_pod_memory_usage_bytes")
    for series in sorted(used, key=lambda one: -one.value)[:TOP_PODS]:
        at = (series.labels["namespace"], series.labels["pod"])
        text = size(series.value)
        limit = page.of_pod("kpi_pod_memory_limits_bytes", *at)
        if limit and limit[0].value > 0:
            text += f" ({series.value / limit[0].value:.0%} of its limit)".replace("%", " %")
        cpu = page.of_pod("kpi_pod_cpu_usage_cores", *at)
        text += f", CPU {cpu[0].value * 1000:.0f}m" if cpu else ""
        yield Finding(Mark.SHOWN, "Top pods", "/".join(at), text)
