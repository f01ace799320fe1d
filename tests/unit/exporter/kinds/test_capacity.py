"""What is reserved, and how many pods still fit."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from exporter.kinds import capacity
from exporter.ports import Resources, WatchedNode, WatchedPod
from exporter.watch.nodes import NodeRecord, node_record
from exporter.watch.objects import Node, Pod
from exporter.watch.pods import PodRecord, pod_record
from tests.kube_cases import decoded, recorded
from tests.published import lines

GI = 1024.0**3
NODE = node_record(decoded(Node, recorded("nodes")[0]))
POD = pod_record(decoded(Pod, recorded("pods")[0]), {})


def node(
    name: str = "n1", cpu: float = 2.0, memory: float = 8 * GI, pods: float = 110
) -> NodeRecord:
    return replace(NODE, name=name, allocatable={"cpu": cpu, "memory": memory, "pods": pods})


def pod(cpu: float, memory: float = 0.0, *, on: str = "n1", phase: str = "Running") -> PodRecord:
    return replace(POD, node=on, phase=phase, reserved=Resources(cpu, memory))


def size(cpu: float, memory: float = 0.0) -> capacity.PodSize:
    return capacity.PodSize(cpu, memory, "configured")


def read(
    nodes: Sequence[WatchedNode], pods: Sequence[WatchedPod], of: capacity.PodSize | None
) -> dict[str, float]:
    found = list(capacity.readings(nodes, capacity.held(pods), of))
    assert all(reading.subject == () for reading in found)
    return {reading.kpi: reading.value for reading in found}


def test_what_pods_reserve_is_summed_on_their_node_until_they_end() -> None:
    pods = [
        *(pod(0.1, GI), pod(0.2, GI)),
        *(pod(1.0, on=""), pod(1.0, phase="Succeeded"), pod(1.0, phase="Failed")),
    ]
    found = lines(capacity.METRICS, capacity.node_samples([node()], capacity.held(pods)))
    assert found == [
        'kpi_node_cpu_requested_cores{node="n1"} 0.3',
        'kpi_node_memory_requested_bytes{node="n1"} 2.147483648e+09',
        'kpi_node_pods_placed{node="n1"} 2.0',
        f'kpi_node_cpu_requested_ratio{{node="n1"}} {(0.1 + 0.2) / 2}',
        'kpi_node_memory_requested_ratio{node="n1"} 0.25',
    ]


def test_an_empty_node_has_nothing_reserved_and_one_of_unknown_size_no_ratio() -> None:
    bare = replace(NODE, name="n1", allocatable={})
    found = lines(capacity.METRICS, capacity.node_samples([bare], {}))
    assert [line.rpartition(" ")[2] for line in found] == ["0.0", "0.0", "0.0"]


@pytest.mark.parametrize(
    ("of", "fitting"),
    [
        (size(0.5), 3),  # 2 cores, 0.5 of them reserved
        (size(0.1, GI), 7),  # 8 GiB, one of them reserved
        (size(0.4), 3),
        (size(4.0), 0),
        (size(0.0, 0.0), 9),  # 10 pods, one of them there
    ],
)
def test_a_pod_fits_where_cpu_memory_and_count_have_room(
    of: capacity.PodSize, fitting: int
) -> None:
    assert read([node(pods=10)], [pod(0.5, GI)], of)["cluster_pods_fit"] == fitting


def test_room_on_two_nodes_is_no_room_for_one_pod() -> None:
    nodes = [node("n1", cpu=1.0), node("n2", cpu=1.0)]
    assert read(nodes, [], size(1.5))["cluster_pods_fit"] == 0


def test_rounding_does_not_lose_a_pod() -> None:
    assert read([node(cpu=0.3)], [pod(0.1), pod(0.1)], size(0.1))["cluster_pods_fit"] == 1


def test_only_nodes_that_are_ready_and_take_any_pod_count() -> None:
    away = [
        replace(node("n2"), ready=False),
        replace(node("n3"), unschedulable=True),
        replace(node("n4"), tainted=True),
    ]
    found = read([node(), *away], [pod(1.0, 2 * GI)], size(1.0))
    assert found == {
        "cluster_cpu_requested_ratio": 0.5,
        "cluster_memory_requested_ratio": 0.25,
        "cluster_pods_fit": 1.0,
    }
    assert read(away, [pod(1.0)], size(1.0)) == {}


def test_a_node_that_is_overfull_has_no_negative_room() -> None:
    full = [node("n1", cpu=1.0), node("n2", cpu=1.0)]
    assert read(full, [pod(5.0)], size(1.0))["cluster_pods_fit"] == 1


def test_the_size_is_the_median_of_the_pods_that_hold_something() -> None:
    pods = [pod(0.1, GI), pod(0.2, GI), pod(4.0, 2 * GI), pod(0.0), pod(9.0, phase="Failed")]
    found = capacity.pod_size(pods, None)
    assert found == capacity.PodSize(0.2, GI, "median")
    assert lines(capacity.METRICS, capacity.size_samples(found)) == [
        'kpi_cluster_pod_size_cpu_cores{basis="median"} 0.2',
        'kpi_cluster_pod_size_memory_bytes{basis="median"} 1.073741824e+09',
    ]


def test_a_configured_size_stands_above_the_median_and_of_no_pod_there_is_none() -> None:
    assert capacity.pod_size([pod(0.1)], Resources(0.25, GI)) == capacity.PodSize(
        0.25, GI, "configured"
    )
    assert capacity.pod_size([], None) is None
    assert capacity.pod_size([pod(0.0)], None) is None
    assert "cluster_pods_fit" not in read([node()], [], None)
