"""How much of the nodes is promised to pods, and how many pods still fit.

How soon a disk is full is no series of ours: a trend needs history, which Prometheus has and keeps
when the exporter starts anew, so it is a recording rule over `kpi_volume_available_bytes` and
`kpi_node_filesystem_available_bytes`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_high

from exporter.contract import Reading, Sample
from exporter.kinds.words import gauge
from exporter.ports import Resources, WatchedNode, WatchedPod

_NODE = ("node",)

NODE_CPU = gauge("kpi_node_cpu_requested_cores", "Cores that the node's pods have reserved.", _NODE)
NODE_MEMORY = gauge(
    "kpi_node_memory_requested_bytes", "Memory that the node's pods have reserved.", _NODE
)
NODE_PODS = gauge("kpi_node_pods_placed", "Pods on the node that have not ended.", _NODE)
NODE_CPU_RATIO = gauge(
    "kpi_node_cpu_requested_ratio", "Cores reserved, of those allocatable.", _NODE
)
NODE_MEMORY_RATIO = gauge(
    "kpi_node_memory_requested_ratio", "Memory reserved, of what is allocatable.", _NODE
)
SIZE_CPU = gauge(
    "kpi_cluster_pod_size_cpu_cores",
    "Cores of the pod that is counted with: as configured, or the median of the pods there are.",
    ("basis",),
)
SIZE_MEMORY = gauge(
    "kpi_cluster_pod_size_memory_bytes",
    "Memory of the pod that is counted with: as configured, or the median of the pods there are.",
    ("basis",),
)
METRICS = (
    *(NODE_CPU, NODE_MEMORY, NODE_PODS, NODE_CPU_RATIO, NODE_MEMORY_RATIO),
    *(SIZE_CPU, SIZE_MEMORY),
)
KPIS = ("cluster_cpu_requested_ratio", "cluster_memory_requested_ratio", "cluster_pods_fit")

ENDED = frozenset({"Succeeded", "Failed"})
"""Phases in which a pod holds nothing any more."""


@dataclass(slots=True)
class Held:
    """What the pods of a node hold of it."""

    cpu: float = 0.0
    memory: float = 0.0
    pods: int = 0


def held(pods: Sequence[WatchedPod]) -> Mapping[str, Held]:
    """Sum what is reserved on each node by its name."""
    found: dict[str, Held] = {}
    for pod in pods:
        if pod.node and pod.phase not in ENDED:
            of_node = found.setdefault(pod.node, Held())
            of_node.cpu += pod.reserved.cpu or 0.0
            of_node.memory += pod.reserved.memory or 0.0
            of_node.pods += 1
    return found


def node_samples(nodes: Sequence[WatchedNode], by_node: Mapping[str, Held]) -> Iterator[Sample]:
    """Tell what is reserved of each node."""
    for node in nodes:
        of_node, named = by_node.get(node.name, Held()), (node.name,)
        yield Sample(NODE_CPU, named, round(of_node.cpu, 9))
        yield Sample(NODE_MEMORY, named, of_node.memory)
        yield Sample(NODE_PODS, named, float(of_node.pods))
        for metric, resource, value in (
            (NODE_CPU_RATIO, "cpu", of_node.cpu),
            (NODE_MEMORY_RATIO, "memory", of_node.memory),
        ):
            if allocatable := node.allocatable.get(resource):
                yield Sample(metric, named, value / allocatable)


@dataclass(frozen=True, slots=True)
class PodSize:
    """The pod that is counted with."""

    cpu: float
    memory: float
    basis: str
    """`configured` or `median`."""


def pod_size(pods: Sequence[WatchedPod], configured: Resources | None) -> PodSize | None:
    """Return the configured size, or the median of the pods that hold something; None of none.

    The median of each resource by itself: the middle pod, as far as there is one.
    """
    if configured is not None:
        return PodSize(configured.cpu or 0.0, configured.memory or 0.0, "configured")
    sizes = [pod.reserved for pod in pods if pod.phase not in ENDED and any(pod.reserved)]
    if not sizes:
        return None
    cpu = median_high(size.cpu or 0.0 for size in sizes)
    return PodSize(cpu, median_high(size.memory or 0.0 for size in sizes), "median")


def size_samples(size: PodSize) -> Iterator[Sample]:
    """Tell which pod is counted with."""
    yield Sample(SIZE_CPU, (size.basis,), size.cpu)
    yield Sample(SIZE_MEMORY, (size.basis,), size.memory)


def readings(
    nodes: Sequence[WatchedNode], by_node: Mapping[str, Held], size: PodSize | None
) -> Iterator[Reading]:
    """Tell how full the cluster is, over the nodes that are ready and take any pod."""
    open_nodes = [
        node for node in nodes if node.ready and not node.unschedulable and not node.tainted
    ]
    for kpi, resource in (
        ("cluster_cpu_requested_ratio", "cpu"),
        ("cluster_memory_requested_ratio", "memory"),
    ):
        allocatable = sum(node.allocatable.get(resource, 0.0) for node in open_nodes)
        if allocatable:
            of_nodes = (by_node.get(node.name, Held()) for node in open_nodes)
            total = sum(one.cpu if resource == "cpu" else one.memory for one in of_nodes)
            yield Reading(kpi, (), total / allocatable)
    if size is not None and open_nodes:
        fitting = sum(_fits(node, by_node.get(node.name, Held()), size) for node in open_nodes)
        yield Reading("cluster_pods_fit", (), float(fitting))


def _fits(node: WatchedNode, of_node: Held, size: PodSize) -> int:
    """Return how many more pods of that size the node has room for."""
    free = node.allocatable
    rooms = [free.get("pods", 0.0) - of_node.pods]
    if size.cpu:
        # Rounded, for 0.3 - 0.1 - 0.1 must have room for 0.1.
        rooms.append(round((free.get("cpu", 0.0) - of_node.cpu) / size.cpu, 6))
    if size.memory:
        rooms.append((free.get("memory", 0.0) - of_node.memory) / size.memory)
    return max(0, int(min(rooms)))
