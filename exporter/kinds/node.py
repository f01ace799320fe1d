"""Nodes: are they fit, may pods come, what do they run, and how much is there."""

from collections.abc import Iterator

from exporter.contract import Sample
from exporter.kinds.words import gauge
from exporter.ports import WatchedNode

_NODE = ("node",)

READY = gauge("kpi_node_ready", "1 if the node is Ready.", _NODE)
CONDITION = gauge(
    "kpi_node_condition",
    "1 while the node is in that trouble, 0 while it is not; absent while its kubelet is silent.",
    (*_NODE, "condition"),
)
UNSCHEDULABLE = gauge("kpi_node_unschedulable", "1 if the node is cordoned.", _NODE)
INFO = gauge(
    "kpi_node_info",
    "Versions of the node's kubelet and of what is below it.",
    (*_NODE, "version", "container_runtime", "kernel", "os_image"),
)
CREATED = gauge("kpi_node_created_timestamp_seconds", "When the node was registered.", _NODE)
AMOUNTS = (
    (
        "cpu",
        gauge("kpi_node_cpu_capacity_cores", "Cores of the node.", _NODE),
        gauge("kpi_node_cpu_allocatable_cores", "Cores that pods may ask for.", _NODE),
    ),
    (
        "memory",
        gauge("kpi_node_memory_capacity_bytes", "Memory of the node.", _NODE),
        gauge("kpi_node_memory_allocatable_bytes", "Memory that pods may ask for.", _NODE),
    ),
    (
        "ephemeral-storage",
        gauge("kpi_node_storage_capacity_bytes", "Local storage of the node.", _NODE),
        gauge("kpi_node_storage_allocatable_bytes", "Local storage that pods may ask for.", _NODE),
    ),
    (
        "pods",
        gauge("kpi_node_pods_capacity", "Pods that the node can hold.", _NODE),
        gauge("kpi_node_pods_allocatable", "Pods that the node may hold.", _NODE),
    ),
)
"""Kubernetes' name of the resource, its capacity, and what of it is for pods."""

METRICS = (
    *(READY, CONDITION, UNSCHEDULABLE, INFO, CREATED),
    *(metric for _, *both in AMOUNTS for metric in both),
)

TROUBLES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
"""The conditions that the kubelet and the cloud's node controller set, but for Ready."""
KNOWN = {"True": 1.0, "False": 0.0}


def samples(node: WatchedNode) -> Iterator[Sample]:
    """Describe a node."""
    named = (node.name,)
    yield Sample(READY, named, float(node.ready))
    for trouble in TROUBLES:
        value = KNOWN.get(node.conditions.get(trouble, ""))
        if value is not None:
            yield Sample(CONDITION, (node.name, trouble), value)
    yield Sample(UNSCHEDULABLE, named, float(node.unschedulable))
    versions = (node.version, node.runtime, node.kernel, node.os_image)
    yield Sample(INFO, (node.name, *versions), 1.0)
    if node.created is not None:
        yield Sample(CREATED, named, node.created.timestamp())
    for resource, capacity, allocatable in AMOUNTS:
        if resource in node.capacity:
            yield Sample(capacity, named, node.capacity[resource])
        if resource in node.allocatable:
            yield Sample(allocatable, named, node.allocatable[resource])
