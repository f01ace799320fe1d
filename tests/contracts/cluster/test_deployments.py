"""What Deployments do on every form of the cluster."""

import asyncio

import pytest

from tests.bed.cluster.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Client, at, items
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.probe_manifests import deployment, release
from tests.bed.cluster.rollouts import Probe, revision_of
from tests.bed.process import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def probe(api: Client, namespace: str) -> Probe:
    return Probe(api, namespace)


def condition(obj: object, kind: str) -> object:
    return next((c for c in items(obj, "status.conditions") if c["type"] == kind), None)


async def test_a_deployment_becomes_ready_pods_owned_through_a_replica_set(
    cluster: Cluster, probe: Probe
) -> None:
    await cluster.apply(deployment(probe.namespace, replicas=2))
    found = await probe.rolled_out()
    assert revision_of(found) == "1"
    assert at(condition(found, "Available"), "status") == "True"
    assert at(condition(found, "Progressing"), "reason") == "NewReplicaSetAvailable"
    assert at(found, "spec.strategy.rollingUpdate.maxSurge") == "25%"
    assert at(found, "spec.revisionHistoryLimit") == 10
    [replica_set] = await probe.replica_sets()
    owner = items(replica_set, "metadata.ownerReferences")[0]
    assert owner["uid"] == at(found, "metadata.uid")
    assert owner["controller"] is True
    template_hash = at(replica_set, "metadata.labels.pod-template-hash")
    assert at(replica_set, "metadata.name") == f"probe-{template_hash}"
    pods = await probe.pods()
    assert len(pods) == 2
    for pod in pods:
        assert at(pod, "metadata.labels.pod-template-hash") == template_hash
        assert at(pod, "metadata.ownerReferences.0.uid") == at(replica_set, "metadata.uid")
        assert at(pod, "status.phase") == "Running"
        assert at(condition(pod, "Ready"), "status") == "True"


async def test_a_rolling_update_never_falls_below_its_floor(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(
        deployment(
            probe.namespace,
            replicas=3,
            strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        )
    )
    await probe.rolled_out()
    path = f"/apis/apps/v1/namespaces/{probe.namespace}/deployments"
    version = str(at((await probe.api.get(path)).body, "metadata.resourceVersion"))
    async with probe.api.watch(path, resourceVersion=version) as watch:
        await cluster.apply(release(probe.namespace, "v2"))
        seen: list[tuple[object, object]] = []
        done = False
        while not done:
            event = await watch.next()
            status = at(event, "object.status")
            seen.append((at(status, "availableReplicas") or 0, at(status, "replicas")))
            observed = at(status, "observedGeneration") == 2
            done = observed and at(status, "updatedReplicas") == 3 and seen[-1] == (3, 3)
    assert min(int(str(available)) for available, _ in seen) == 3
    assert max(int(str(total)) for _, total in seen) == 4


async def test_a_rollback_reuses_the_replica_set_and_makes_it_the_newest_revision(
    cluster: Cluster, probe: Probe
) -> None:
    await cluster.apply(deployment(probe.namespace, "v1"))
    first = await probe.rolled_out()
    await cluster.apply(release(probe.namespace, "v2"))
    assert revision_of(await probe.rolled_out()) == "2"
    assert await probe.revisions() == {"probe-app:v1": "1", "probe-app:v2": "2"}
    [old] = [found for found in await probe.replica_sets() if revision_of(found) == "1"]
    template = at(first, "spec.template")
    assert isinstance(template, dict)
    template["metadata"]["creationTimestamp"] = None  # as kubectl sends it
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": at(first, "metadata.uid")},
        {"op": "replace", "path": "/spec/template", "value": template},
    ]
    answer = await probe.api.send("PATCH", probe.path, patch, content_type=JSON_PATCH)
    assert answer.status == 200
    assert revision_of(await probe.rolled_out()) == "3"
    assert await probe.revisions() == {"probe-app:v2": "2", "probe-app:v1": "3"}
    newest = [found for found in await probe.replica_sets() if revision_of(found) == "3"]
    assert [at(found, "metadata.uid") for found in newest] == [at(old, "metadata.uid")]


async def test_a_restart_annotation_replaces_every_pod_once(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace, replicas=2))
    await probe.rolled_out()
    before = {at(pod, "metadata.uid") for pod in await probe.pods()}
    moment = {"kubectl.kubernetes.io/restartedAt": "2026-11-23T10:00:00Z"}
    patch = {"spec": {"template": {"metadata": {"annotations": moment}}}}
    for _ in range(2):  # the second changes nothing
        answer = await probe.api.send("PATCH", probe.path, patch, content_type=STRATEGIC_PATCH)
        assert answer.at("metadata.generation") == 2
    assert revision_of(await probe.rolled_out()) == "2"
    after = {at(pod, "metadata.uid") for pod in await probe.pods()}
    assert not before & after
    assert len(await probe.replica_sets()) == 2


async def test_scale_changes_the_replicas_and_no_revision(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace))
    await probe.rolled_out()
    scale = await probe.api.get(f"{probe.path}/scale")
    assert scale.at("kind") == "Scale"
    assert scale.at("spec.replicas") == 1
    assert scale.at("status.selector") == "app=probe"
    body = scale.body | {"spec": {"replicas": 3}}
    put = await probe.api.send("PUT", f"{probe.path}/scale", body)
    assert put.at("spec.replicas") == 3
    assert revision_of(await probe.rolled_out()) == "1"
    stale = await probe.api.send("PUT", f"{probe.path}/scale", body)
    assert (stale.status, stale.at("reason")) == (409, "Conflict")
    patch = {"spec": {"replicas": 1}}
    answer = await probe.api.send("PATCH", f"{probe.path}/scale", patch, content_type=MERGE_PATCH)
    assert answer.at("spec.replicas") == 1
    await probe.rolled_out()
    assert len(await probe.pods()) == 1


async def test_a_paused_deployment_scales_but_does_not_roll(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace))
    await probe.rolled_out()
    pause = {"spec": {"paused": True}}
    await probe.api.send("PATCH", probe.path, pause, content_type=MERGE_PATCH)
    await cluster.apply(release(probe.namespace, "v2"))
    found = await probe.settled()
    assert at(condition(found, "Progressing"), "reason") == "DeploymentPaused"
    assert await probe.revisions() == {"probe-app:v1": "1"}
    await probe.api.send(
        "PATCH", f"{probe.path}/scale", {"spec": {"replicas": 2}}, content_type=MERGE_PATCH
    )

    async def scaled() -> bool:
        return at(await probe.get(), "status.readyReplicas") == 2

    await wait_until(scaled, 10, "two ready pods of the old template")
    resume = {"spec": {"paused": False}}
    await probe.api.send("PATCH", probe.path, resume, content_type=MERGE_PATCH)
    await probe.rolled_out()
    assert await probe.revisions() == {"probe-app:v1": "1", "probe-app:v2": "2"}


async def test_a_rollout_without_progress_is_reported_and_the_old_pods_serve_on(
    cluster: Cluster, probe: Probe
) -> None:
    await cluster.apply(deployment(probe.namespace, progressDeadlineSeconds=2))
    await probe.rolled_out()
    await cluster.apply(release(probe.namespace, "sick"))

    async def given_up() -> object:
        found = condition(await probe.get(), "Progressing")
        return found if at(found, "reason") == "ProgressDeadlineExceeded" else None

    assert at(await wait_until(given_up, 10, "the deadline is told"), "status") == "False"
    assert at(await probe.get(), "status.availableReplicas") == 1
    await cluster.apply(release(probe.namespace, "v1"))
    found = await probe.rolled_out()
    assert at(condition(found, "Progressing"), "reason") == "NewReplicaSetAvailable"


async def test_history_is_kept_to_its_limit(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace, replicas=0, revisionHistoryLimit=1))
    await probe.rolled_out()
    for revision, tag in enumerate(("v2", "sick", "crash"), start=2):
        await cluster.apply(release(probe.namespace, tag))

        async def newest(wanted: int = revision) -> bool:
            return revision_of(await probe.get()) == str(wanted)

        await wait_until(newest, 10, f"revision {revision}")

    async def kept() -> bool:
        return await probe.revisions() == {"probe-app:sick": "3", "probe-app:crash": "4"}

    await wait_until(kept, 10, "one old ReplicaSet is left")


async def test_recreate_ends_the_old_pods_before_it_starts_new_ones(
    cluster: Cluster, probe: Probe
) -> None:
    strategy = {"type": "Recreate"}
    await cluster.apply(deployment(probe.namespace, replicas=2, strategy=strategy))
    await probe.rolled_out()
    path = f"/api/v1/namespaces/{probe.namespace}/pods"
    version = str(at((await probe.api.get(path)).body, "metadata.resourceVersion"))
    async with probe.api.watch(path, resourceVersion=version) as watch:
        await cluster.apply(release(probe.namespace, "v2"))
        seen = await watch.until("ADDED")
    # A pod has ended when its containers have, a moment before it goes.
    ended = [e for e in seen if at(e, "object.status.phase") in {"Failed", "Succeeded"}]
    assert len({at(event, "object.metadata.uid") for event in ended}) == 2
    await probe.rolled_out()


async def test_what_a_deployment_owns_goes_with_it(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace, replicas=2))
    await probe.rolled_out()
    deleted = await probe.api.send("DELETE", probe.path)
    assert (deleted.status, deleted.at("status")) == (200, "Success")

    async def gone() -> bool:
        pods = await probe.api.get(f"/api/v1/namespaces/{probe.namespace}/pods")
        return not items(pods.body) and not await probe.replica_sets()

    await wait_until(gone, 10, "ReplicaSets and pods are gone")
    assert (await probe.api.get(probe.path)).status == 404


async def test_a_deleted_pod_is_replaced(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace))
    await probe.rolled_out()
    [pod] = await probe.pods()
    path = f"/api/v1/namespaces/{probe.namespace}/pods/{at(pod, 'metadata.name')}"
    deleted = await probe.api.send("DELETE", path)
    assert deleted.at("metadata.deletionGracePeriodSeconds") == 2

    async def replaced() -> bool:
        pods = await probe.pods()
        return [at(p, "metadata.uid") for p in pods] != [at(pod, "metadata.uid")] and bool(pods)

    await asyncio.gather(wait_until(replaced, 10, "another pod"), probe.rolled_out())
