"""The gateway against an API server that answers from a script."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from exporter.shared.errors import ConflictError, PermanentError, TransientError
from exporter.shared.kube import Owner, Workload
from responder.domain.values import Target
from responder.gateways.kube import KubeGateway
from tests.bed.scripted_api import Answer, ScriptedApi, refusal

TARGET = Target("Deployment", "default", "task-manager")


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    async with ScriptedApi.start() as api:
        yield api


@pytest.fixture
async def kube(api: ScriptedApi, tmp_path: Path) -> AsyncIterator[KubeGateway]:
    gateway = await KubeGateway.open(api.kubeconfig(tmp_path), user_agent="runbookd-test")
    yield gateway
    await gateway.close()


def says(document: Mapping[str, object]) -> Answer:
    return Answer(json.dumps(document).encode())


def deployment() -> dict[str, object]:
    return {
        "metadata": {
            "name": "task-manager",
            "namespace": "default",
            "uid": "u1",
            "resourceVersion": "77",
            "generation": 3,
            "annotations": {"deployment.kubernetes.io/revision": "2"},
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {
            "replicas": 3,
            "paused": True,
            "selector": {"matchLabels": {"app": "task-manager"}},
            "template": {"metadata": {"creationTimestamp": None, "annotations": {"a": "b"}}},
        },
        "status": {
            "observedGeneration": 3,
            "replicas": 4,
            "updatedReplicas": 1,
            "readyReplicas": 3,
            "availableReplicas": 2,
            "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                {
                    "type": "Progressing",
                    "status": "False",
                    "reason": "ProgressDeadlineExceeded",
                    "lastUpdateTime": "2026-01-02T03:04:05Z",
                },
            ],
        },
    }


async def workload(api: ScriptedApi, kube: KubeGateway) -> Workload:
    api.script.append(says(deployment()))
    found = await kube.workload("Deployment", "default", "task-manager")
    assert found is not None
    return found


async def test_a_deployment_is_read_whole(api: ScriptedApi, kube: KubeGateway) -> None:
    found = await workload(api, kube)
    assert api.asked[0].path == "/apis/apps/v1/namespaces/default/deployments/task-manager"
    assert (found.uid, found.resource_version, found.generation) == ("u1", "77", 3)
    assert (found.replicas, found.updated, found.ready, found.available) == (3, 1, 3, 2)
    assert (found.total, found.paused, found.revision) == (4, True, "2")
    assert found.template_annotations == {"a": "b"}
    assert found.selector == {"app": "task-manager"}
    assert found.progressing_reason == "ProgressDeadlineExceeded"
    assert found.progressing_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert not found.rolled_out


async def test_a_daemon_set_counts_nodes(api: ScriptedApi, kube: KubeGateway) -> None:
    status = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 2,
        "currentNumberScheduled": 2,
        "updatedNumberScheduled": 2,
        "numberReady": 2,
        "numberAvailable": 2,
    }
    api.script.append(says({"metadata": {"generation": 1}, "spec": {}, "status": status}))
    found = await kube.workload("DaemonSet", "kube-system", "proxy")
    assert found is not None
    assert (found.replicas, found.rolled_out) == (2, True)


async def test_what_is_not_there_is_none(api: ScriptedApi, kube: KubeGateway) -> None:
    api.script += [refusal(404), refusal(404), refusal(404)]
    assert await kube.workload("Deployment", "default", "gone") is None
    assert await kube.pod("default", "gone") is None
    assert await kube.describe("Pod", "default", "gone") is None


async def test_a_name_cannot_leave_its_place_in_the_path(
    api: ScriptedApi, kube: KubeGateway
) -> None:
    api.script.append(refusal(404))
    await kube.pod("default", "../secrets/postgres?x=")
    assert api.asked[0].path.startswith("/api/v1/namespaces/default/pods/")
    assert api.asked[0].query == {}


async def test_only_known_kinds_are_reached(kube: KubeGateway) -> None:
    with pytest.raises(PermanentError, match="Secret"):
        await kube.describe("Secret", "default", "postgres-secret")
    with pytest.raises(PermanentError, match="not a workload"):
        await kube.workload("Pod", "default", "x")


async def test_replica_sets_are_the_deployments_own_newest_first(
    api: ScriptedApi, kube: KubeGateway
) -> None:
    def replica_set(name: str, revision: str, owner: str) -> dict[str, object]:
        return {
            "metadata": {
                "name": name,
                "uid": f"u-{name}",
                "labels": {"pod-template-hash": f"h-{name}"},
                "annotations": {"deployment.kubernetes.io/revision": revision},
                "ownerReferences": [
                    {"kind": "Deployment", "name": "x", "uid": owner, "controller": True}
                ],
            },
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": f"i:{name}"}]}}},
        }

    found = await workload(api, kube)
    sets = [("a", "2", "u1"), ("b", "10", "u1"), ("c", "11", "other")]
    api.script.append(says({"items": [replica_set(*one) for one in sets]}))
    history = await kube.replica_sets(found)
    assert [(one.name, one.revision) for one in history] == [("b", 10), ("a", 2)]
    assert (history[0].template_hash, history[0].images) == ("h-b", ("i:b",))
    assert api.asked[1].query["labelSelector"] == "app=task-manager"


async def test_a_list_is_read_to_its_last_page(api: ScriptedApi, kube: KubeGateway) -> None:
    api.script += [
        says({"metadata": {"continue": "t1"}, "items": [{"metadata": {"name": "a"}}]}),
        says({"metadata": {}, "items": [{"metadata": {"name": "b"}}]}),
    ]
    assert [node.name for node in await kube.nodes()] == ["a", "b"]
    assert [asked.query.get("continue") for asked in api.asked] == [None, "t1"]


async def test_a_page_that_grew_too_old_is_weather(api: ScriptedApi, kube: KubeGateway) -> None:
    api.script.append(refusal(410, "too old"))
    with pytest.raises(TransientError):
        await kube.pods()


async def test_events_come_newest_first_whichever_api_wrote_them(
    api: ScriptedApi, kube: KubeGateway
) -> None:
    items = [
        {"metadata": {}, "reason": "old", "lastTimestamp": "2026-01-01T00:00:01Z", "count": 4},
        {"metadata": {}, "reason": "timeless", "lastTimestamp": None, "eventTime": None},
        {
            "metadata": {},
            "reason": "series",
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "series": {"count": 9, "lastObservedTime": "2026-01-01T00:00:09.000000Z"},
        },
        {
            "metadata": {"namespace": "default"},
            "reason": "new",
            "eventTime": "2026-01-01T00:00:05.123456Z",
            "involvedObject": {"kind": "Pod", "name": "api-1"},
        },
    ]
    api.script.append(says({"items": items}))
    found = await kube.events("default", involved="api-1", limit=3)
    assert [event.reason for event in found] == ["series", "new", "old"]
    assert [event.count for event in found] == [9, 1, 4]
    assert found[1].object == "Pod/api-1"
    assert api.asked[0].query["fieldSelector"] == "involvedObject.name=api-1"


async def test_a_pod_says_why_its_containers_wait_and_ended(
    api: ScriptedApi, kube: KubeGateway
) -> None:
    owner = {"kind": "ReplicaSet", "name": "rs", "uid": "u", "controller": True}
    status = {
        "phase": "Running",
        "podIP": "127.1.2.3",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {
                "name": "app",
                "restartCount": 5,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"reason": "OOMKilled"}},
            },
            {"name": "side", "ready": True, "state": {"running": {"startedAt": None}}},
        ],
    }
    spec = {"nodeName": "n1", "containers": [{"name": n} for n in ("app", "side", "never")]}
    metadata = {"name": "p", "namespace": "default", "ownerReferences": [owner]}
    api.script.append(says({"metadata": metadata, "spec": spec, "status": status}))
    pod = await kube.pod("default", "p")
    assert pod is not None
    app, side, never = pod.containers
    assert (app.state, app.reason, app.last_reason, app.restarts) == (
        "waiting",
        "CrashLoopBackOff",
        "OOMKilled",
        5,
    )
    assert (side.state, side.ready, side.last_reason) == ("running", True, "")
    assert (never.state, never.reason) == ("waiting", "")
    assert (pod.ip, pod.node, pod.ready) == ("127.1.2.3", "n1", False)
    assert pod.owner == Owner("ReplicaSet", "rs", "u")
    deployed = {"kind": "Deployment", "name": "web", "uid": "u", "controller": True}
    api.script.append(says({"metadata": {"ownerReferences": [deployed]}, "spec": {}}))
    assert await kube.workload_of_pod(pod) == ("Deployment", "web")
    api.script.append(refusal(404))
    assert await kube.workload_of_pod(pod) is None


async def test_describe_leaves_managed_fields_out(api: ScriptedApi, kube: KubeGateway) -> None:
    api.script.append(says(deployment()))
    found = await kube.describe("Deployment", "default", "task-manager")
    assert found is not None
    assert "managedFields" not in json.dumps(found)


async def test_a_read_waits_out_a_short_retry_after(api: ScriptedApi, kube: KubeGateway) -> None:
    later = {"Retry-After": "0"}
    api.script += [Answer(b"{}", 429, later), Answer(b"{}", 429, later), says({"items": []})]
    assert await kube.nodes() == []
    api.script += [Answer(b"{}", 429, later) for _ in range(3)]
    with pytest.raises(TransientError):
        await kube.nodes()
    api.script.append(Answer(b"{}", 429, {"Retry-After": "60"}))
    with pytest.raises(TransientError):
        await kube.nodes()
    assert len(api.asked) == 7


async def test_a_log_that_is_not_kept_is_said_in_the_servers_words(
    api: ScriptedApi, kube: KubeGateway
) -> None:
    api.script.append(Answer(b"line \xff 1\nline 2\n"))
    assert await kube.logs("default", "p", "c", tail=2) == "line \ufffd 1\nline 2\n"
    assert api.asked[0].query["tailLines"] == "2"
    api.script.append(refusal(400, "previous terminated container not found"))
    with pytest.raises(PermanentError, match="previous terminated container not found"):
        await kube.logs("default", "p", "c", previous=True)
    assert api.asked[1].query["previous"] == "true"


async def test_a_write_is_sent_once_under_its_own_type(api: ScriptedApi, kube: KubeGateway) -> None:
    api.script += [says({}), says({}), refusal(409), refusal(429, **{"Retry-After": "0"})]
    await kube.merge_patch(TARGET, {"spec": {"replicas": 2}})
    await kube.json_patch(TARGET, [{"op": "add", "path": "/x", "value": None}])
    merge, operations = api.asked
    assert merge.headers["Content-Type"] == "application/merge-patch+json"
    assert json.loads(merge.body) == {"spec": {"replicas": 2}}
    assert operations.headers["Content-Type"] == "application/json-patch+json"
    assert json.loads(operations.body) == [{"op": "add", "path": "/x", "value": None}]
    with pytest.raises(ConflictError):
        await kube.merge_patch(TARGET, {})
    with pytest.raises(TransientError):
        await kube.merge_patch(TARGET, {})
    assert len(api.asked) == 4
