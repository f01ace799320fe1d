"""What nodes, pods and workloads use of CPU and memory, as metrics.k8s.io tells it.

A ratio of a pod is left to PromQL: usage, requests and limits of pods carry the same labels. Ratios
of nodes and workloads are KPIs, and there are few of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from exporter.contract import Reading, Sample
from exporter.kinds.words import POD, gauge
from exporter.kpi import WORKLOAD
from exporter.ports import Resources, WatchedNode, WatchedPod
from exporter.watch.objects import NO_META, Amounts, Meta, View
from exporter.watch.quantity import amount

NODE_CPU = gauge(
    "kpi_node_cpu_usage_cores", "Cores used, averaged over the metrics API's window.", ("node",)
)
NODE_MEMORY = gauge(
    "kpi_node_memory_usage_bytes", "Memory used that cannot be reclaimed at once.", ("node",)
)
NODE_METRICS = (NODE_CPU, NODE_MEMORY)

POD_CPU = gauge(
    "kpi_pod_cpu_usage_cores", "Cores used, averaged over the metrics API's window.", POD
)
POD_MEMORY = gauge(
    "kpi_pod_memory_usage_bytes", "Memory used that cannot be reclaimed at once.", POD
)
WORKLOAD_CPU = gauge("kpi_workload_cpu_usage_cores", "Cores that its pods use.", WORKLOAD)
WORKLOAD_MEMORY = gauge("kpi_workload_memory_usage_bytes", "Memory that its pods use.", WORKLOAD)
WORKLOAD_CPU_LIMITS = gauge(
    "kpi_workload_cpu_limits_ratio",
    "Cores that its pods use of their limits; none if one has no limit.",
    WORKLOAD,
)
WORKLOAD_MEMORY_LIMITS = gauge(
    "kpi_workload_memory_limits_ratio",
    "Memory that its pods use of their limits; none if one has no limit.",
    WORKLOAD,
)
POD_METRICS = (
    *(POD_CPU, POD_MEMORY),
    *(WORKLOAD_CPU, WORKLOAD_MEMORY, WORKLOAD_CPU_LIMITS, WORKLOAD_MEMORY_LIMITS),
)

KPIS = ("node_cpu_ratio", "node_memory_ratio", "workload_cpu_ratio", "workload_memory_ratio")


class UsageList(View, frozen=True):
    """A list of metrics.k8s.io; items are decoded a few at a time, for it knows no pages."""

    items: list[msgspec.Raw] | None = None


class NodeUsage(View, frozen=True):
    """metrics.k8s.io/v1beta1 NodeMetrics."""

    metadata: Meta = NO_META
    usage: Amounts = Amounts()


class ContainerUsage(View, frozen=True):
    """What one container uses."""

    usage: Amounts = Amounts()


class PodUsage(View, frozen=True):
    """metrics.k8s.io/v1beta1 PodMetrics."""

    metadata: Meta = NO_META
    containers: list[ContainerUsage] | None = None


def node_samples(usage: NodeUsage) -> Iterator[Sample]:
    """Tell what a node uses."""
    used = _read(usage.usage)
    if used.cpu is not None:
        yield Sample(NODE_CPU, (usage.metadata.name,), used.cpu)
    if used.memory is not None:
        yield Sample(NODE_MEMORY, (usage.metadata.name,), used.memory)


def node_readings(usage: NodeUsage, node: WatchedNode | None) -> Iterator[Reading]:
    """Compare what a node uses with what pods may have of it."""
    allocatable = {} if node is None else node.allocatable
    used, subject = _read(usage.usage), (("node", usage.metadata.name),)
    for kpi, value, bound in (
        ("node_cpu_ratio", used.cpu, allocatable.get("cpu")),
        ("node_memory_ratio", used.memory, allocatable.get("memory")),
    ):
        ratio = _ratio(value, bound)
        if ratio is not None:
            yield Reading(kpi, subject, ratio)


def of_pod(usage: PodUsage) -> Resources:
    """Sum what the containers of a pod use; None where it is not told of each of them."""
    each = [_read(container.usage) for container in usage.containers or ()]
    return Resources(_sum([one.cpu for one in each]), _sum([one.memory for one in each]))


def pod_samples(pod: WatchedPod, used: Resources) -> Iterator[Sample]:
    """Tell what a pod uses."""
    labels = (pod.namespace, pod.name, pod.workload, pod.workload_type)
    if used.cpu is not None:
        yield Sample(POD_CPU, labels, used.cpu)
    if used.memory is not None:
        yield Sample(POD_MEMORY, labels, used.memory)


@dataclass(slots=True)
class _Sum:
    """Amounts of several pods; what one of them does not tell is unknown of all."""

    cpu: float | None = 0.0
    memory: float | None = 0.0

    def add(self, one: Resources) -> None:
        self.cpu = None if self.cpu is None or one.cpu is None else self.cpu + one.cpu
        memory = one.memory
        self.memory = None if self.memory is None or memory is None else self.memory + memory


class WorkloadUsage:
    """What the pods of each workload use, ask for and may use, over the pods that are measured.

    So the HPA counts: utilization is the sum of usage over the sum of requests, and it is unknown
    where one container asks for nothing.
    """

    def __init__(self) -> None:
        self._of: dict[tuple[str, str, str], tuple[_Sum, _Sum, _Sum]] = {}

    def add(self, pod: WatchedPod, used: Resources) -> None:
        """Take a pod; one of no workload counts nowhere."""
        if not pod.workload:
            return
        key = (pod.namespace, pod.workload, pod.workload_type)
        sums = self._of.get(key)
        if sums is None:
            sums = self._of[key] = (_Sum(), _Sum(), _Sum())
        for total, one in zip(sums, (used, pod.requests, pod.limits), strict=True):
            total.add(one)

    def published(self) -> Iterator[tuple[str, list[Sample], list[Reading]]]:
        """Return key, samples and readings of each workload."""
        for labels, (used, requests, limits) in self._of.items():
            values = (
                (WORKLOAD_CPU, used.cpu),
                (WORKLOAD_MEMORY, used.memory),
                (WORKLOAD_CPU_LIMITS, _ratio(used.cpu, limits.cpu)),
                (WORKLOAD_MEMORY_LIMITS, _ratio(used.memory, limits.memory)),
            )
            kpis: Mapping[str, float | None] = {
                "workload_cpu_ratio": _ratio(used.cpu, requests.cpu),
                "workload_memory_ratio": _ratio(used.memory, requests.memory),
            }
            subject = tuple(zip(WORKLOAD, labels, strict=True))
            yield (
                "workload/" + "/".join(labels),
                [Sample(metric, labels, value) for metric, value in values if value is not None],
                [Reading(kpi, subject, ratio) for kpi, ratio in kpis.items() if ratio is not None],
            )


def _read(usage: Amounts) -> Resources:
    return Resources(
        None if usage.cpu is None else amount(usage.cpu),
        None if usage.memory is None else amount(usage.memory),
    )


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _ratio(value: float | None, bound: float | None) -> float | None:
    return value / bound if value is not None and bound else None
