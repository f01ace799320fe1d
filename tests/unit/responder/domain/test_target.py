import pytest

from responder.domain.policy import TargetRule
from responder.domain.target import NeedsOwner, Unresolvable, label_of, resolve
from responder.domain.values import Target

WORKLOAD = TargetRule("workload", "$workload_type", "$namespace", "$workload", owner_of_pod=True)
DATABASE = TargetRule("database", "StatefulSet", "default", "postgres")
LABELS = {"workload_type": "deployment", "namespace": "default", "workload": "task-manager"}


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("deployment", "Deployment"), ("statefulset", "StatefulSet"), ("daemonset", "DaemonSet")],
)
def test_labels_become_the_object_that_they_name(kind: str, wanted: str) -> None:
    found = resolve(WORKLOAD, LABELS | {"workload_type": kind})
    assert found == Target(wanted, "default", "task-manager")


def test_a_fixed_target_reads_no_label() -> None:
    assert resolve(DATABASE, {}) == Target("StatefulSet", "default", "postgres")


def test_labels_that_name_only_a_pod_need_its_owner() -> None:
    found = resolve(WORKLOAD, {"namespace": "default", "pod": "task-manager-7d9c-x1"})
    assert found == NeedsOwner("default", "task-manager-7d9c-x1")


def test_without_else_a_pod_alone_is_not_enough() -> None:
    rule = TargetRule("workload", "$workload_type", "$namespace", "$workload")
    found = resolve(rule, {"namespace": "default", "pod": "task-manager-7d9c-x1"})
    assert found == Unresolvable(
        "the alert has no label workload_type, which target workload reads"
    )


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("workload", "../kube-system"),
        ("workload", "a" * 254),
        ("workload", "web;rm -rf /"),
        ("workload", "web\n"),
        ("namespace", "Default"),
        ("namespace", "a.b"),
        ("workload_type", "secret"),
        ("workload_type", "deployment/scale"),
    ],
)
def test_a_label_that_is_no_kubernetes_name_is_refused(label: str, value: str) -> None:
    found = resolve(WORKLOAD, LABELS | {label: value, "pod": "task-manager-7d9c-x1"})
    assert isinstance(found, Unresolvable)
    assert ascii(value)[:20] in found.reason
    assert len(found.reason) < 140


def test_a_pod_label_that_is_no_name_is_refused_too() -> None:
    found = resolve(WORKLOAD, {"namespace": "default", "pod": "a/../b"})
    assert found == Unresolvable("'a/../b' is not a Kubernetes name")


def test_an_object_name_is_one_label_whole() -> None:
    assert label_of("$workload") == "workload"
    assert label_of("postgres") is None
    with pytest.raises(ValueError, match="mixes text and a label"):
        label_of("web-$tier")


@pytest.mark.parametrize(
    "target", [Target("Deployment", "default", "web"), Target("Node", "", "ip-10-0-0-1.ec2")]
)
def test_a_target_is_read_back_as_it_is_written(target: Target) -> None:
    assert Target.parse(str(target)) == target


def test_a_cluster_object_may_leave_the_namespace_out() -> None:
    assert Target.parse("node/n1") == Target("Node", "", "n1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web", "'web' is not a target; write it as deployment/default/web"),
        ("deploymnt/default/web", "'deploymnt' is not a kind .* did you mean deployment?"),
        ("deployment/De fault/web", "'De fault' is not a Kubernetes namespace"),
        ("deployment/default/We", "'We' is not a Kubernetes name"),
    ],
)
def test_what_is_no_target_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target.parse(text)
