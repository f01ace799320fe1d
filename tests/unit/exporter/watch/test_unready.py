import pytest

from exporter.watch.objects import Pod
from exporter.watch.pods import PodRecord, pod_record
from exporter.watch.unready import UnreadyPods, is_unready
from tests.kube_cases import decoded

WEB = (("namespace", "default"), ("workload", "web"), ("workload_type", "deployment"))
DB = (("namespace", "default"), ("workload", "db"), ("workload_type", "statefulset"))


def pod(
    uid: str = "u1", *, ready: bool = False, phase: str = "Running", deleting: bool = False
) -> PodRecord:
    condition = {"type": "Ready", "status": str(ready)}
    deleted = {"deletionTimestamp": "2026-01-05T08:00:00Z"} if deleting else {}
    raw = {
        "metadata": {"namespace": "default", "name": uid, "uid": uid, **deleted},
        "status": {"phase": phase, "conditions": [condition]},
    }
    return pod_record(decoded(Pod, raw), {})


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_a_pod_that_should_serve_and_is_not_ready_is_unready(phase: str) -> None:
    assert is_unready(pod(phase=phase))
    assert not is_unready(pod(phase=phase, ready=True))


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_ended_is_not_missed(phase: str) -> None:
    assert not is_unready(pod(phase=phase))


@pytest.mark.parametrize("ready", [True, False])
def test_a_pod_that_is_being_deleted_is_not_missed(*, ready: bool) -> None:
    assert not is_unready(pod(ready=ready, deleting=True))


def test_a_pod_counts_once_and_while_it_is_not_ready() -> None:
    unready = UnreadyPods()
    for _ in range(2):
        unready.observe(pod("u1"), WEB)
        unready.observe(pod("u2"), WEB)
        assert (unready.count(WEB), unready.count(DB)) == (2, 0)
    assert unready.observe(pod("u1", ready=True), WEB) == WEB
    assert unready.count(WEB) == 1
    assert unready.forget("u2") == WEB
    assert unready.forget("u2") is None
    assert unready.count(WEB) == 0


def test_a_pod_that_turns_out_to_be_anothers_counts_for_that_one_alone() -> None:
    unready = UnreadyPods()
    assert unready.observe(pod(), WEB) is None
    assert unready.observe(pod(), DB) == WEB
    assert (unready.count(WEB), unready.count(DB)) == (0, 1)
    assert unready.observe(pod(), None) == DB
    assert unready.count(DB) == 0
