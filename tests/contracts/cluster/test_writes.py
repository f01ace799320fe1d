"""What the API server does with writes, on every form of the cluster."""

import pytest

from tests.bed.cluster.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Client, at, items
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.probe_manifests import config_map, deployment

pytestmark = pytest.mark.asyncio(loop_scope="session")


def deployments(namespace: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments"


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


async def test_a_name_can_be_created_once(api: Client, namespace: str) -> None:
    body = config_map(namespace, "one", key="value")
    created = await api.send("POST", config_maps(namespace), body)
    assert created.status == 201
    assert created.at("metadata.uid")
    assert created.at("metadata.creationTimestamp")
    again = await api.send("POST", config_maps(namespace), body)
    assert (again.status, again.at("reason")) == (409, "AlreadyExists")
    assert again.at("message") == 'configmaps "one" already exists'


async def test_what_does_not_exist_is_not_found(api: Client, namespace: str) -> None:
    path = f"{deployments(namespace)}/none"
    for method in ("GET", "DELETE"):
        answer = await api.send(method, path)
        assert (answer.status, answer.at("reason")) == (404, "NotFound")
        assert answer.at("message") == 'deployments.apps "none" not found'
    patch = await api.send("PATCH", path, {"spec": {}}, content_type=MERGE_PATCH)
    assert patch.status == 404
    nowhere = await api.send("POST", deployments("no-such-namespace"), deployment("")["spec"])
    assert nowhere.status in {400, 404}


async def test_a_json_patch_tests_before_it_changes(api: Client, namespace: str) -> None:
    await api.send("POST", config_maps(namespace), config_map(namespace, "one", a="1", b="2"))
    path = f"{config_maps(namespace)}/one"
    patch = [
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "3"},
        {"op": "remove", "path": "/data/b"},
        {"op": "add", "path": "/metadata/annotations", "value": {"example.com/key": "x"}},
    ]
    answer = await api.send("PATCH", path, patch, content_type=JSON_PATCH)
    assert answer.at("data") == {"a": "3"}
    failed = await api.send("PATCH", path, patch, content_type=JSON_PATCH)
    assert (failed.status, failed.at("reason")) == (422, "Invalid")
    escaped = [{"op": "replace", "path": "/metadata/annotations/example.com~1key", "value": "y"}]
    answer = await api.send("PATCH", path, escaped, content_type=JSON_PATCH)
    assert answer.at("metadata.annotations") == {"example.com/key": "y"}


async def test_a_merge_patch_removes_by_null_and_replaces_lists(
    api: Client, namespace: str
) -> None:
    await api.send("POST", config_maps(namespace), config_map(namespace, "one", a="1", b="2"))
    path = f"{config_maps(namespace)}/one"
    patch = {"data": {"a": None, "c": "3"}}
    answer = await api.send("PATCH", path, patch, content_type=MERGE_PATCH)
    assert answer.at("data") == {"b": "2", "c": "3"}


async def test_a_strategic_patch_merges_lists_by_their_keys(api: Client, namespace: str) -> None:
    manifest = deployment(namespace, replicas=0)
    pod = at(manifest, "spec.template.spec")
    assert isinstance(pod, dict)
    pod["containers"][0]["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    await api.send("POST", deployments(namespace), manifest)
    changes = {
        "name": "probe",
        "env": [
            {"name": "B", "value": "3"},
            {"name": "A", "$patch": "delete"},
            {"name": "C", "value": "4"},
        ],
        "ports": [{"containerPort": 9000}],
    }
    sidecar = {"name": "sidecar", "image": "probe-app:v1"}
    patch = {"spec": {"template": {"spec": {"containers": [changes, sidecar]}}}}
    path = f"{deployments(namespace)}/probe"
    answer = await api.send("PATCH", path, patch, content_type=STRATEGIC_PATCH)
    containers = {str(c["name"]): c for c in items(answer.body, "spec.template.spec.containers")}
    assert containers["probe"]["image"] == "probe-app:v1"
    env = {str(e["name"]): e["value"] for e in items(containers["probe"], "env")}
    assert env == {"B": "3", "C": "4"}
    ports = [port["containerPort"] for port in items(containers["probe"], "ports")]
    assert sorted(map(str, ports)) == ["8000", "9000"]
    assert list(containers) == ["probe", "sidecar"]
    extra = {"name": "extra", "image": "probe-app:v1"}
    patch = {"spec": {"template": {"spec": {"containers": [extra]}}}}
    answer = await api.send("PATCH", path, patch, content_type=STRATEGIC_PATCH)
    order = [c["name"] for c in items(answer.body, "spec.template.spec.containers")]
    assert order == ["extra", "probe", "sidecar"]  # as in Kubernetes' own page on patches


async def test_a_patch_without_effect_is_no_write(api: Client, namespace: str) -> None:
    first = await api.send("POST", deployments(namespace), deployment(namespace, replicas=0))
    path = f"{deployments(namespace)}/probe"
    await api.send("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE_PATCH)
    labelled = await api.get(path)
    assert labelled.at("metadata.generation") == first.at("metadata.generation") == 1
    patch = {"spec": {"replicas": 0}}
    answer = await api.send("PATCH", path, patch, content_type=MERGE_PATCH)
    assert answer.at("metadata.generation") == 1
    patch = {"spec": {"minReadySeconds": 1}}
    answer = await api.send("PATCH", path, patch, content_type=MERGE_PATCH)
    assert answer.at("metadata.generation") == 2


@pytest.mark.parametrize("content_type", [MERGE_PATCH, STRATEGIC_PATCH])
async def test_a_write_based_on_an_old_version_is_a_conflict(
    api: Client, namespace: str, content_type: str
) -> None:
    first = await api.send("POST", config_maps(namespace), config_map(namespace, "one", a="1"))
    path = f"{config_maps(namespace)}/one"
    fresh = {"metadata": {"resourceVersion": first.at("metadata.resourceVersion")}}
    write = fresh | {"data": {"a": "2"}}
    assert (await api.send("PATCH", path, write, content_type=content_type)).status == 200
    stale = await api.send("PATCH", path, write | {"data": {"a": "3"}}, content_type=content_type)
    assert (stale.status, stale.at("reason")) == (409, "Conflict")
    put = await api.send("PUT", path, first.body)
    assert (put.status, put.at("reason")) == (409, "Conflict")
    assert (await api.get(path)).at("data.a") == "2"


async def test_a_write_or_delete_aimed_at_another_uid_is_refused(
    api: Client, namespace: str
) -> None:
    created = await api.send("POST", config_maps(namespace), config_map(namespace, "one", a="1"))
    path = f"{config_maps(namespace)}/one"
    other = "00000000-0000-0000-0000-000000000000"
    patch = {"metadata": {"uid": other}, "data": {"a": "2"}}
    patched = await api.send("PATCH", path, patch, content_type=MERGE_PATCH)
    assert (patched.status, patched.at("reason")) == (422, "Invalid")
    assert str(patched.at("message")).endswith(
        f'metadata.uid: Invalid value: "{other}": field is immutable'
    )
    stale = {**created.body, "metadata": {"name": "one", "uid": other}}
    put = await api.send("PUT", path, stale)
    assert (put.status, put.at("reason")) == (409, "Conflict")
    deleted = await api.send("DELETE", path, {"preconditions": {"uid": other}})
    assert (deleted.status, deleted.at("reason")) == (409, "Conflict")
    assert (await api.get(path)).at("data.a") == "1"


async def test_status_is_written_through_its_own_door_only(
    cluster: Cluster, api: Client, namespace: str
) -> None:
    await cluster.apply(deployment(namespace, replicas=0))
    path = f"{deployments(namespace)}/probe"
    status = {"conditions": [{"type": "Mine", "status": "True", "reason": "x", "message": ""}]}
    ignored = await api.send("PATCH", path, {"status": status}, content_type=STRATEGIC_PATCH)
    assert "Mine" not in str(ignored.at("status.conditions"))
    written = await api.send(
        "PATCH",
        f"{path}/status",
        {"status": status, "spec": {"replicas": 5}},
        content_type=STRATEGIC_PATCH,
    )
    assert "Mine" in str(written.at("status.conditions"))
    assert written.at("spec.replicas") == 0


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"spec": {"replicas": -1}}, "spec.replicas"),
        ({"spec": {"selector": {"matchLabels": {"app": "x"}}}}, "spec."),
        ({"spec": {"template": {"spec": {"containers": []}}}}, "containers"),
    ],
)
async def test_an_object_that_breaks_a_rule_is_refused(
    api: Client, namespace: str, patch: dict[str, object], field: str
) -> None:
    await api.send("POST", deployments(namespace), deployment(namespace, replicas=0))
    answer = await api.send(
        "PATCH", f"{deployments(namespace)}/probe", patch, content_type=MERGE_PATCH
    )
    assert (answer.status, answer.at("reason")) == (422, "Invalid")
    assert field in str(answer.at("message"))


async def test_an_unknown_kind_of_patch_is_refused(api: Client, namespace: str) -> None:
    await api.send("POST", config_maps(namespace), config_map(namespace, "one"))
    path = f"{config_maps(namespace)}/one"
    answer = await api.send("PATCH", path, {}, content_type="application/json")
    assert answer.status == 415


async def test_orphans_stay_when_asked(api: Client, namespace: str) -> None:
    await api.send("POST", deployments(namespace), deployment(namespace, replicas=0))
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets"
    answer = await api.send(
        "DELETE", f"{deployments(namespace)}/probe", {"propagationPolicy": "Orphan"}
    )
    assert answer.status == 200
    found = items((await api.get(path)).body)
    assert all(not at(replica_set, "metadata.deletionTimestamp") for replica_set in found)
