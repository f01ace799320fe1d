import msgspec
import pytest

from exporter.watch.objects import DaemonSet, Deployment, StatefulSet
from exporter.watch.rollout import of_daemon_set, of_deployment, of_stateful_set

Changes = dict[str, object]


def deployment(spec: Changes, status: Changes, generation: int = 3) -> Deployment:
    settled = {
        "observedGeneration": 3,
        "replicas": 3,
        "updatedReplicas": 3,
        "availableReplicas": 3,
    }
    return msgspec.convert(
        {
            "metadata": {"name": "web", "namespace": "default", "generation": generation},
            "spec": {"replicas": 3} | spec,
            "status": settled | status,
        },
        Deployment,
    )


def stateful_set(spec: Changes, status: Changes) -> StatefulSet:
    settled = {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "availableReplicas": 3,
        "currentRevision": "db-1",
        "updateRevision": "db-1",
    }
    return msgspec.convert(
        {
            "metadata": {"name": "db", "namespace": "default", "generation": 1},
            "spec": {"replicas": 3} | spec,
            "status": settled | status,
        },
        StatefulSet,
    )


def daemon_set(spec: Changes, status: Changes) -> DaemonSet:
    settled = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 2,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
    }
    return msgspec.convert(
        {
            "metadata": {"name": "agent", "namespace": "kube-system", "generation": 1},
            "spec": spec,
            "status": settled | status,
        },
        DaemonSet,
    )


@pytest.mark.parametrize(
    ("status", "in_progress"),
    [
        ({}, False),
        ({"updatedReplicas": 2}, True),
        ({"replicas": 4}, True),
        ({"availableReplicas": 2}, True),
        ({"observedGeneration": 2}, True),
    ],
)
def test_a_deployment_is_rolled_out_as_kubectl_says(status: Changes, *, in_progress: bool) -> None:
    assert of_deployment(deployment({}, status)).in_progress is in_progress


def test_a_deployment_wants_one_pod_unless_it_says_otherwise() -> None:
    assert of_deployment(msgspec.convert({}, Deployment)).desired == 1
    assert of_deployment(deployment({"replicas": 0}, {})).desired == 0


def test_a_generation_that_the_controller_has_not_seen_is_a_lag() -> None:
    assert of_deployment(deployment({}, {}, generation=5)).lag == 2
    assert of_deployment(deployment({}, {}, generation=2)).lag == 0


@pytest.mark.parametrize(
    ("spec", "status", "in_progress"),
    [
        ({}, {}, False),
        ({}, {"updateRevision": "db-2", "updatedReplicas": 1}, True),
        ({}, {"availableReplicas": 2}, True),
        (
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
            {"updateRevision": "db-2", "updatedReplicas": 1},
            False,
        ),
        (
            {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}},
            {"updateRevision": "db-2", "updatedReplicas": 0},
            True,
        ),
        (
            {"updateStrategy": {"type": "OnDelete"}},
            {"updateRevision": "db-2", "updatedReplicas": 0},
            False,
        ),
    ],
)
def test_a_stateful_set_is_rolled_out_up_to_its_partition(
    spec: Changes, status: Changes, *, in_progress: bool
) -> None:
    assert of_stateful_set(stateful_set(spec, status)).in_progress is in_progress


@pytest.mark.parametrize(
    ("spec", "status", "in_progress"),
    [
        ({}, {}, False),
        ({}, {"updatedNumberScheduled": 1}, True),
        ({}, {"numberAvailable": 1}, True),
        ({"updateStrategy": {"type": "OnDelete"}}, {"updatedNumberScheduled": 1}, False),
        ({}, {"observedGeneration": 0}, True),
    ],
)
def test_a_daemon_set_is_rolled_out_when_every_node_runs_the_new_pod(
    spec: Changes, status: Changes, *, in_progress: bool
) -> None:
    assert of_daemon_set(daemon_set(spec, status)).in_progress is in_progress
