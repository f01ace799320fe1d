"""Disks and network of a node, its pods and their volumes, as its kubelet's summary tells them."""

import re
from collections.abc import Iterator, Mapping

from exporter.contract import Metric, Reading, Sample
from exporter.kinds.words import POD, gauge
from exporter.kpi import CLAIM
from exporter.ports import WatchedPod
from exporter.watch.objects import View

_NODE = ("node",)
_FILESYSTEM = ("node", "filesystem")

UP = gauge("kpi_node_summary_up", "1 if the kubelet's summary could be read.", _NODE)
FAILURES = Metric(
    "kpi_node_summary_failures_total",
    "Reads of the kubelet's summary that failed.",
    "counter",
    _NODE,
)
FILESYSTEM = (
    gauge("kpi_node_filesystem_capacity_bytes", "Size of the filesystem.", _FILESYSTEM),
    gauge("kpi_node_filesystem_available_bytes", "Space that pods may still fill.", _FILESYSTEM),
    gauge("kpi_node_filesystem_inodes", "Inodes of the filesystem.", _FILESYSTEM),
    gauge("kpi_node_filesystem_inodes_free", "Inodes that are free.", _FILESYSTEM),
)
VOLUME = (
    gauge("kpi_volume_capacity_bytes", "Size of the claim's filesystem.", CLAIM),
    gauge("kpi_volume_available_bytes", "Space that is left on it.", CLAIM),
    gauge("kpi_volume_inodes", "Inodes of the claim's filesystem.", CLAIM),
    gauge("kpi_volume_inodes_free", "Inodes that are free on it.", CLAIM),
)
_INTERFACE = ("node", "interface")
NODE_NETWORK = (
    Metric(
        "kpi_node_network_receive_bytes_total",
        "Bytes received by an interface of the node since it came up; not by those of pods.",
        "counter",
        _INTERFACE,
    ),
    Metric(
        "kpi_node_network_transmit_bytes_total",
        "Bytes sent by an interface of the node since it came up; not by those of pods.",
        "counter",
        _INTERFACE,
    ),
)
POD_NETWORK = (
    Metric(
        "kpi_pod_network_receive_bytes_total",
        "Bytes received by the pod's default interface in the life of the pod.",
        "counter",
        POD,
    ),
    Metric(
        "kpi_pod_network_transmit_bytes_total",
        "Bytes sent by the pod's default interface in the life of the pod.",
        "counter",
        POD,
    ),
)
METRICS = (UP, FAILURES, *FILESYSTEM, *VOLUME, *NODE_NETWORK, *POD_NETWORK)
KPIS = ("node_disk_ratio", "volume_disk_ratio")

OF_PODS = re.compile(
    r"lo$|veth|eni|cali|cilium|lxc|cni|docker|br-|virbr|flannel|weave|tunl|vxlan|geneve|gre|sit|ip6"
    r"|kube-|nodelocaldns|dummy|ifb"
)
"""Beginnings of names that container networks give: one for each pod, or for what is in between."""
MOST_INTERFACES = 10


class Filesystem(View, frozen=True):
    """One filesystem; what the kubelet cannot tell is left out."""

    available_bytes: int | None = None
    capacity_bytes: int | None = None
    inodes: int | None = None
    inodes_free: int | None = None

    @property
    def amounts(self) -> tuple[int | None, ...]:
        """In the order of FILESYSTEM and VOLUME."""
        return self.capacity_bytes, self.available_bytes, self.inodes, self.inodes_free

    @property
    def used_ratio(self) -> float | None:
        """What is not available, of all: the blocks kept for root are no space to fill."""
        if self.available_bytes is None or not self.capacity_bytes:
            return None
        return 1.0 - self.available_bytes / self.capacity_bytes


class Interface(View, frozen=True):
    """Counters of an interface."""

    name: str = ""
    rx_bytes: int | None = None
    tx_bytes: int | None = None

    @property
    def counters(self) -> tuple[int | None, int | None]:
        """Received, sent."""
        return self.rx_bytes, self.tx_bytes


class Network(Interface, frozen=True):
    """Counters of the default interface, where the kubelet knows it (`eth0`), and of each."""

    interfaces: list[Interface] | None = None


class ClaimReference(View, frozen=True):
    """The claim of a volume."""

    name: str = ""
    namespace: str = ""


class Volume(Filesystem, frozen=True):
    """A volume of a pod; most are no claim's."""

    pvc_ref: ClaimReference | None = None


class PodReference(View, frozen=True):
    """Which pod."""

    uid: str = ""


class PodSummary(View, frozen=True):
    """A pod."""

    pod_ref: PodReference = PodReference()
    network: Network | None = None
    volume: list[Volume] | None = None


class Runtime(View, frozen=True):
    """Where the container runtime keeps images and containers' writable layers."""

    image_fs: Filesystem | None = None
    container_fs: Filesystem | None = None


class NodeSummary(View, frozen=True):
    """The node."""

    network: Network | None = None
    fs: Filesystem | None = None
    runtime: Runtime | None = None


class Summary(View, frozen=True):
    """The kubelet's stats/v1alpha1 Summary."""

    node: NodeSummary = NodeSummary()
    pods: list[PodSummary] | None = None


def health_samples(node: str, failures: int, *, up: bool) -> Iterator[Sample]:
    """Tell whether the node's kubelet answers."""
    yield Sample(UP, (node,), float(up))
    yield Sample(FAILURES, (node,), float(failures))


def samples(node: str, summary: Summary, pods: Mapping[str, WatchedPod]) -> Iterator[Sample]:
    """Describe a node; `pods` are those known, by uid, and others are left out until they are."""
    for name, filesystem in _filesystems(summary.node).items():
        yield from _known(FILESYSTEM, (node, name), filesystem.amounts)
    for interface in _own_interfaces(summary.node.network):
        yield from _known(NODE_NETWORK, (node, interface.name), interface.counters)
    for one in summary.pods or ():
        pod = pods.get(one.pod_ref.uid)
        if pod is not None and one.network is not None:
            labels = (pod.namespace, pod.name, pod.workload, pod.workload_type)
            yield from _known(POD_NETWORK, labels, one.network.counters)
    for claim, volume in _claims(summary).items():
        yield from _known(VOLUME, claim, volume.amounts)


def readings(node: str, summary: Summary) -> Iterator[Reading]:
    """Tell how full the node's fullest filesystem is, and each claim's."""
    filesystems = _filesystems(summary.node).values()
    ratios = [ratio for one in filesystems if (ratio := one.used_ratio) is not None]
    if ratios:
        yield Reading("node_disk_ratio", (("node", node),), max(ratios))
    for claim, volume in _claims(summary).items():
        ratio = volume.used_ratio
        if ratio is not None:
            yield Reading("volume_disk_ratio", tuple(zip(CLAIM, claim, strict=True)), ratio)


def _filesystems(node: NodeSummary) -> Mapping[str, Filesystem]:
    runtime = node.runtime or Runtime()
    found = {"node": node.fs, "image": runtime.image_fs, "container": runtime.container_fs}
    return {name: one for name, one in found.items() if one is not None}


def _own_interfaces(network: Network | None) -> list[Interface]:
    """Return the interfaces that lead out of the node, a few at most."""
    given = [] if network is None else network.interfaces or [network]
    found = {one.name: one for one in given if one.name and not OF_PODS.match(one.name)}
    return [found[name] for name in sorted(found)[:MOST_INTERFACES]]


def _claims(summary: Summary) -> Mapping[tuple[str, str], Volume]:
    """Return the volumes of claims; one that several pods share is told once."""
    return {
        (volume.pvc_ref.namespace, volume.pvc_ref.name): volume
        for pod in summary.pods or ()
        for volume in pod.volume or ()
        if volume.pvc_ref is not None
    }


def _known(
    metrics: tuple[Metric, ...], labels: tuple[str, ...], values: tuple[int | None, ...]
) -> Iterator[Sample]:
    for metric, value in zip(metrics, values, strict=True):
        if value is not None:
            yield Sample(metric, labels, float(value))
