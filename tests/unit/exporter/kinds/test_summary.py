"""What a recorded kubelet said of its disks, its network and its pods' volumes."""

import copy
import json

from exporter.contract import Reading
from exporter.kinds import summary
from exporter.watch.objects import Pod
from exporter.watch.pods import pod_record
from tests.json_fields import changed, paths
from tests.kube_cases import DATA, decoded, recorded, replica_sets
from tests.published import exposition, lines

RAW = json.loads((DATA / "stats_summary.json").read_text())
NETWORK = {"name": "eth0", "rxBytes": 1000, "rxErrors": 0, "txBytes": 2000, "txErrors": 0}
"""As the node's; the recorded kubelet told none of its pods, which its CRI must measure."""
PODS = {
    pod.uid: pod
    for pod in (pod_record(decoded(Pod, raw), replica_sets()) for raw in recorded("pods"))
}


def told(raw: object) -> list[str]:
    return lines(summary.METRICS, summary.samples("bed", decoded(summary.Summary, raw), PODS))


def test_the_page_is_as_written_down() -> None:
    found = decoded(summary.Summary, RAW)
    page = exposition(
        summary.METRICS,
        [
            *summary.samples("bed", found, PODS),
            *summary.health_samples("bed", 3, up=True),
        ],
    )
    assert page == (DATA / "stats_summary.prom").read_text()


def test_the_fullest_filesystem_of_a_node_counts_and_each_claims() -> None:
    raw = copy.deepcopy(RAW)
    raw["node"]["runtime"]["imageFs"] |= {"capacityBytes": 100, "availableBytes": 5}
    of_node = RAW["node"]["fs"]
    expected = 1 - of_node["availableBytes"] / of_node["capacityBytes"]
    subject = (("node", "bed"),)
    claim = (("namespace", "default"), ("persistentvolumeclaim", "data"))
    usual, full = (list(summary.readings("bed", decoded(summary.Summary, r))) for r in (RAW, raw))
    assert usual[0] == Reading("node_disk_ratio", subject, expected)
    assert full[0] == Reading("node_disk_ratio", subject, 0.95)
    assert usual[1][:2] == ("volume_disk_ratio", claim)
    assert 0.7 < usual[1].value < 0.8


def test_a_pods_network_is_counted_once_the_pod_is_known() -> None:
    raw = copy.deepcopy(RAW)
    for pod in raw["pods"]:
        pod["network"] = NETWORK
    found = decoded(summary.Summary, raw)
    name = "task-manager-75958fdd7c-ll2qr"
    labels = f'namespace="default",pod="{name}",workload="task-manager",workload_type="deployment"'
    assert [line for line in told(raw) if line.startswith("kpi_pod_network")] == [
        f"kpi_pod_network_receive_bytes_total{{{labels}}} 1000.0",
        f"kpi_pod_network_transmit_bytes_total{{{labels}}} 2000.0",
    ]
    alone = lines(summary.METRICS, summary.samples("bed", found, {}))
    assert not any(line.startswith("kpi_pod_network") for line in alone)


def test_a_claim_that_two_pods_share_is_told_once() -> None:
    raw = copy.deepcopy(RAW)
    raw["pods"] *= 2
    assert len([line for line in told(raw) if line.startswith("kpi_volume")]) == 4


def interfaces(network: object) -> set[str]:
    raw = copy.deepcopy(RAW)
    raw["node"]["network"] = network
    found = [line for line in told(raw) if line.startswith("kpi_node_network_receive")]
    return {line.partition('interface="')[2].partition('"')[0] for line in found}


def test_a_nodes_own_interfaces_are_counted_and_not_those_of_its_pods() -> None:
    def one(name: str) -> dict[str, object]:
        return NETWORK | {"name": name}

    names = ("eth0", "ens5", "lo", "veth1a2b", "eni1a2b3c4d5e6", "cali12", "cni0", "docker0")
    assert interfaces({"name": "", "interfaces": [one(name) for name in names]}) == {"eth0", "ens5"}
    assert interfaces(one("eth0")) == {"eth0"}
    assert interfaces({"name": "", "interfaces": []}) == set()
    many = {"interfaces": [one(f"eth{number}") for number in range(50)]}
    assert len(interfaces(many)) == summary.MOST_INTERFACES


POINTERS = frozenset(
    {"availableBytes", "capacityBytes", "inodes", "inodesFree", "rxBytes", "txBytes"}
    | {"network", "fs", "runtime", "imageFs", "containerFs", "volume", "pvcRef"}
)


def test_any_field_may_be_missing_and_what_is_a_pointer_null() -> None:
    whole = {line.partition("{")[0] for line in told(RAW)}
    for path in paths(RAW):
        left = told(changed(RAW, path))
        assert {line.partition("{")[0] for line in left} <= whole, path
        if path[-1] in POINTERS:
            assert told(changed(RAW, path, to_null=True)) == left, path


def test_a_size_of_nothing_has_no_ratio() -> None:
    empty = summary.Filesystem(available_bytes=0, capacity_bytes=0)
    assert empty.used_ratio is None
    assert list(summary.readings("bed", summary.Summary())) == []
