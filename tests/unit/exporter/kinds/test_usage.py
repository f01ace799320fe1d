"""What the metrics API said of recorded nodes and pods, beside what they ask for."""

import copy
import json

import msgspec
import pytest

from exporter.contract import Reading
from exporter.kinds import usage
from exporter.ports import Resources
from exporter.watch.nodes import NodeRecord, node_record
from exporter.watch.objects import Amounts, Node, Pod
from exporter.watch.pods import PodRecord, pod_record
from tests.json_fields import changed, paths
from tests.kube_cases import DATA, decoded, recorded, replica_sets
from tests.published import lines

NODE = node_record(decoded(Node, recorded("nodes")[0]))
POD = pod_record(decoded(Pod, recorded("pods")[0]), replica_sets())
OF_POD = 'namespace="default",pod="task-manager-75958fdd7c-ll2qr"'
WORKLOAD = 'workload="task-manager",workload_type="deployment"'
MI = 1024.0 * 1024


def measured(resource: str, name: str) -> dict[str, object]:
    items = json.loads((DATA / f"metrics_{resource}.json").read_text())["items"]
    (found,) = [item for item in items if item["metadata"]["name"] == name]
    return dict(found)


NODE_RAW = measured("nodes", "bed")
POD_RAW = measured("pods", "task-manager-75958fdd7c-ll2qr")


def used(raw: object) -> Resources:
    return usage.of_pod(decoded(usage.PodUsage, raw))


def totals(*pairs: tuple[PodRecord, Resources]) -> dict[str, float]:
    """Return series and readings of the one workload, by their names."""
    workloads = usage.WorkloadUsage()
    for pod, one in pairs:
        workloads.add(pod, one)
    [(_, samples, readings)] = workloads.published()
    found = {sample.metric.name: sample.value for sample in samples}
    return found | {reading.kpi: reading.value for reading in readings}


def test_a_node_is_compared_with_what_pods_may_have_of_it() -> None:
    one = decoded(usage.NodeUsage, NODE_RAW)
    cpu, memory = (
        line.rpartition(" ") for line in lines(usage.NODE_METRICS, usage.node_samples(one))
    )
    assert cpu[0] == 'kpi_node_cpu_usage_cores{node="bed"}'
    assert memory[0] == 'kpi_node_memory_usage_bytes{node="bed"}'
    subject = (("node", "bed"),)
    assert list(usage.node_readings(one, NODE)) == [
        Reading("node_cpu_ratio", subject, float(cpu[2]) / 2),
        Reading("node_memory_ratio", subject, float(memory[2]) / 25276063744),
    ]


def test_a_node_that_is_not_known_has_no_ratio() -> None:
    one = decoded(usage.NodeUsage, NODE_RAW)
    empty: NodeRecord = msgspec.structs.replace(NODE, allocatable={"cpu": 0.0})
    assert list(usage.node_readings(one, None)) == []
    assert list(usage.node_readings(one, empty)) == []


def test_a_pod_uses_what_its_containers_use() -> None:
    assert used(POD_RAW) == Resources(0.117383723, 456 * 1024.0)
    cpu, memory = lines(usage.POD_METRICS, usage.pod_samples(POD, Resources(0.25, 3 * MI)))
    assert cpu == f"kpi_pod_cpu_usage_cores{{{OF_POD},{WORKLOAD}}} 0.25"
    assert memory == f"kpi_pod_memory_usage_bytes{{{OF_POD},{WORKLOAD}}} 3.145728e+06"


def test_a_workload_is_compared_with_requests_and_limits_of_the_pods_that_are_measured() -> None:
    assert totals((POD, Resources(0.06, 40 * MI)), (POD, Resources(0.12, 40 * MI))) == {
        "kpi_workload_cpu_usage_cores": 0.18,
        "kpi_workload_memory_usage_bytes": 80 * MI,
        "kpi_workload_cpu_limits_ratio": 0.18 / 0.8,
        "kpi_workload_memory_limits_ratio": 80 / 384,
        "workload_cpu_ratio": 0.18 / 0.24,
        "workload_memory_ratio": 0.5,
    }


def test_where_one_pod_asks_for_nothing_the_workload_has_no_ratio() -> None:
    free = msgspec.structs.replace(POD, requests=Resources(None, 80 * MI), limits=POD.limits)
    found = totals((POD, Resources(0.1, 40 * MI)), (free, Resources(0.1, 40 * MI)))
    assert "workload_cpu_ratio" not in found
    assert found["workload_memory_ratio"] == 0.5


def test_what_one_pod_does_not_tell_is_unknown_of_its_workload() -> None:
    assert totals((POD, Resources(0.1, None)), (POD, Resources(0.1, 40 * MI))).keys() == {
        "kpi_workload_cpu_usage_cores",
        "kpi_workload_cpu_limits_ratio",
        "workload_cpu_ratio",
    }


def test_a_pod_of_no_workload_counts_nowhere() -> None:
    workloads = usage.WorkloadUsage()
    alone = msgspec.structs.replace(POD, workload="", workload_type="")
    workloads.add(alone, Resources(0.1, 40 * MI))
    assert list(workloads.published()) == []


@pytest.mark.parametrize(
    ("raw", "kind"), [(NODE_RAW, usage.NodeUsage), (POD_RAW, usage.PodUsage)], ids=["node", "pod"]
)
def test_any_field_may_be_missing(
    raw: object, kind: type[usage.NodeUsage | usage.PodUsage]
) -> None:
    for path in paths(raw):
        match decoded(kind, changed(raw, path)):
            case usage.NodeUsage() as node:
                assert len(lines(usage.NODE_METRICS, usage.node_samples(node))) <= 2
                assert len(list(usage.node_readings(node, NODE))) <= 2
            case usage.PodUsage() as pod:
                assert len(lines(usage.POD_METRICS, usage.pod_samples(POD, usage.of_pod(pod)))) <= 2


def test_a_pod_of_which_one_container_is_not_told_uses_an_unknown_amount() -> None:
    raw = copy.deepcopy(POD_RAW)
    del raw["containers"][0]["usage"]["cpu"]  # type: ignore[index]  # JSON
    assert used(raw).cpu is None
    assert used(raw).memory is not None
    assert usage.of_pod(usage.PodUsage()) == Resources(None, None)


def test_an_amount_that_cannot_be_read_is_unknown() -> None:
    strange = usage.NodeUsage(usage=Amounts("much", "Mi"))
    assert lines(usage.NODE_METRICS, usage.node_samples(strange)) == []
