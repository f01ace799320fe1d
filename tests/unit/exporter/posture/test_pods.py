"""What is found of pods, whatever they leave unsaid."""

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import pytest

from exporter.posture.pods import FINDINGS, Pod, Running, Survey, Used, findings, is_latest
from tests.json_fields import changed, paths

CAREFUL: Mapping[str, object] = {
    "metadata": {
        "name": "task-manager-5d4f8c7b9-x2x4z",
        "namespace": "default",
        "uid": "1",
        "creationTimestamp": "2026-11-01T00:00:00Z",
        "labels": {"pod-template-hash": "5d4f8c7b9"},
        "ownerReferences": [
            {
                "kind": "ReplicaSet",
                "name": "task-manager-5d4f8c7b9",
                "uid": "2",
                "controller": True,
            }
        ],
    },
    "spec": {
        "serviceAccountName": "task-manager",
        "automountServiceAccountToken": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "scratch", "emptyDir": {}}],
        "initContainers": [
            {
                "name": "migrate",
                "image": "registry:5000/task-manager:v3",
                "securityContext": {"privileged": False},
            }
        ],
        "containers": [
            {
                "name": "task-manager",
                "image": "registry:5000/task-manager:v3",
                "resources": {
                    "limits": {"cpu": "500m", "memory": "256Mi"},
                    "requests": {"cpu": "100m", "memory": "256Mi"},
                },
                "securityContext": {"runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {"name": "task-manager", "imageID": "registry:5000/task-manager@sha256:abc"}
        ],
    },
}


def found(raw: object) -> set[str]:
    return set(findings(msgspec.json.decode(json.dumps(raw), type=Pod)))


def with_spec(**spec: object) -> Mapping[str, object]:
    raw = copy.deepcopy(dict(CAREFUL))
    raw["spec"] |= spec  # type: ignore[operator]  # JSON
    return raw


def test_of_a_careful_pod_nothing_is_found() -> None:
    assert found(CAREFUL) == set()


CONTAINER = {"name": "c", "image": "nginx", "securityContext": {"privileged": True, "runAsUser": 0}}
BOUNDLESS = {"no_cpu_limit", "no_cpu_request", "no_memory_limit"}
WITHOUT_REQUEST = {
    "name": "c",
    "image": "nginx:1",
    "resources": {"limits": {"cpu": 1, "memory": 1}, "requests": {"memory": 1}},
}


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({"hostNetwork": True}, {"host_network"}),
        ({"hostPID": True}, {"host_pid"}),
        ({"hostIPC": True}, {"host_ipc"}),
        ({"volumes": [{"hostPath": {"path": "/"}}]}, {"host_path"}),
        ({"automountServiceAccountToken": None}, set()),
        (
            {"serviceAccountName": "default", "automountServiceAccountToken": True},
            {"default_service_account"},
        ),
        ({"serviceAccountName": "default"}, set()),
        ({"containers": [CONTAINER]}, {"latest_image", "privileged", *BOUNDLESS}),
        (
            {"containers": [CONTAINER], "securityContext": {}},
            {"latest_image", "privileged", "may_run_as_root", *BOUNDLESS},
        ),
        ({"containers": [WITHOUT_REQUEST]}, {"no_cpu_request"}),
        ({"initContainers": [CONTAINER]}, {"latest_image", "privileged"}),
        ({"securityContext": {"runAsUser": 1000}}, set()),
        ({"securityContext": {"runAsUser": 0}}, {"may_run_as_root"}),
    ],
)
def test_each_finding_is_told_by_its_field(spec: Mapping[str, object], names: set[str]) -> None:
    assert found(with_spec(**spec)) == names


def test_without_any_security_context_a_pod_may_run_as_root() -> None:
    resources = {"limits": {"cpu": 1}, "requests": {"cpu": 1}}
    containers = [{"name": "c", "image": "nginx:1", "resources": resources}]
    raw = with_spec(securityContext={}, initContainers=None, containers=containers)
    assert found(raw) == {"may_run_as_root", "no_memory_limit", "no_security_context"}


@pytest.mark.parametrize("path", list(paths(CAREFUL)), ids=str)
def test_any_field_may_be_missing(path: tuple[object, ...]) -> None:
    assert found(changed(CAREFUL, path)) <= set(FINDINGS)


def test_pods_are_counted_by_workload_and_those_that_are_over_are_not() -> None:
    survey = Survey()
    over = {**with_spec(hostNetwork=True), "status": {"phase": "Failed"}}
    for raw in (with_spec(hostNetwork=True), with_spec(hostNetwork=True), over):
        survey.add(msgspec.json.decode(json.dumps(raw), type=Pod))
    assert survey.pods == 2
    web = ("default", "task-manager", "deployment")
    assert survey.by_workload == {(*web, "host_network"): 2}
    assert survey.by_namespace["default", "privileged"] == 0
    used = Used(*web, "task-manager", "registry:5000/task-manager:v3")
    assert survey.images[used] == Running(datetime(2026, 11, 1, tzinfo=UTC), {"sha256:abc"})


@pytest.mark.parametrize(
    ("image", "latest"),
    [
        ("nginx", True),
        ("nginx:latest", True),
        ("registry:5000/nginx", True),
        ("registry:5000/nginx:1.27", False),
        ("nginx@sha256:abc", False),
        ("nginx:latest@sha256:abc", False),
        ("", False),
    ],
)
def test_an_image_without_a_fixed_tag_is_latest(image: str, *, latest: bool) -> None:
    assert is_latest(image) is latest
