import msgspec
import pytest

from exporter.watch.objects import OwnerReference, Pod, ReplicaSet
from exporter.watch.pods import ReplicaSetRecord, _Pods, workload_of

HASH = {"pod-template-hash": "5d4f8c7b9"}


def owned_by(kind: str, name: str, uid: str = "o1") -> OwnerReference:
    return OwnerReference(kind=kind, name=name, uid=uid, controller=True)


def replica_set(owner_kind: str, owner_name: str) -> dict[str, ReplicaSetRecord]:
    return {"o1": ReplicaSetRecord("o1", owner_kind, owner_name, "d1", "3", "5d4f8c7b9", None)}


@pytest.mark.parametrize(
    ("owner", "labels", "replica_sets", "workload"),
    [
        (None, HASH, {}, ("", "")),
        (owned_by("StatefulSet", "postgres"), {}, {}, ("postgres", "statefulset")),
        (owned_by("DaemonSet", "agent"), {}, {}, ("agent", "daemonset")),
        (owned_by("Job", "backup-1"), {}, {}, ("", "")),
        (
            owned_by("ReplicaSet", "web-5d4f8c7b9"),
            HASH,
            replica_set("Deployment", "the-web"),
            ("the-web", "deployment"),
        ),
        # Not seen yet: the name tells.
        (owned_by("ReplicaSet", "web-5d4f8c7b9"), HASH, {}, ("web", "deployment")),
        # A ReplicaSet that stands alone, and one of a controller that is no Deployment.
        (owned_by("ReplicaSet", "alone"), {}, {}, ("", "")),
        (owned_by("ReplicaSet", "alone-x"), {"pod-template-hash": ""}, {}, ("", "")),
        (owned_by("ReplicaSet", "web-5d4f8c7b9"), HASH, replica_set("Rollout", "web"), ("", "")),
    ],
)
def test_a_pod_is_walked_up_to_its_workload(
    owner: OwnerReference | None,
    labels: dict[str, str],
    replica_sets: dict[str, ReplicaSetRecord],
    workload: tuple[str, str],
) -> None:
    assert workload_of(owner, labels, replica_sets) == workload


def test_a_replica_set_that_comes_late_corrects_its_pods() -> None:
    pods = _Pods()
    owner = {"kind": "ReplicaSet", "name": "web-5d4f8c7b9", "uid": "o1", "controller": True}
    pods.on_object(
        msgspec.convert(
            {"metadata": {"uid": "p1", "labels": HASH, "ownerReferences": [owner]}}, Pod
        )
    )
    assert pods.objects["p1"].workload == "web"
    rollout = {"kind": "Rollout", "name": "web", "uid": "r1", "controller": True}
    pods.replica_sets.on_object(
        msgspec.convert({"metadata": {"uid": "o1", "ownerReferences": [rollout]}}, ReplicaSet)
    )
    assert pods.objects["p1"].workload == ""


def test_an_owner_that_is_not_the_controller_is_not_followed() -> None:
    pods = _Pods()
    owner = {"kind": "StatefulSet", "name": "db", "uid": "o1"}
    pods.on_object(msgspec.convert({"metadata": {"uid": "p1", "ownerReferences": [owner]}}, Pod))
    assert pods.objects["p1"].workload == ""


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    pods = _Pods()
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    pods.on_object(msgspec.convert({"metadata": {"uid": "p1"}, "status": ready}, Pod))
    assert pods.objects["p1"].ready
    going = {"uid": "p1", "deletionTimestamp": "2026-11-23T12:00:00Z"}
    pods.on_object(msgspec.convert({"metadata": going, "status": ready}, Pod))
    assert not pods.objects["p1"].ready


def test_of_the_annotations_only_those_for_scrapers_are_kept() -> None:
    kept = {"prometheus.io/scrape": "true", "runbookd.io/port": "8000"}
    pods = _Pods()
    for uid, annotations in (("p1", {**kept, "example.com/long": "x" * 9000}), ("p2", None)):
        metadata = {"uid": uid, "annotations": annotations}
        pods.on_object(msgspec.convert({"metadata": metadata}, Pod))
    assert pods.objects["p1"].annotations == kept
    assert pods.objects["p2"].annotations == {}
