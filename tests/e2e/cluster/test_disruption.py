"""Evictions and drains under a PodDisruptionBudget."""

import pytest

from tests.bed.cluster.client import Client, at, items
from tests.bed.cluster.probe_manifests import LABELS, deployment
from tests.bed.cluster.real import RealCluster
from tests.bed.cluster.real.keys import NODE
from tests.bed.cluster.rest import ClusterError, path_of
from tests.bed.cluster.rollouts import Probe
from tests.bed.process import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def with_budget(api: Client, cluster: RealCluster, namespace: str, least: int) -> Probe:
    """Run two pods of which `least` have to stay, and wait until the budget has counted them."""
    budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": least, "selector": {"matchLabels": LABELS}}
    metadata = {"name": "probe", "namespace": namespace}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata}
    await api.send("POST", budgets, {**body, "spec": spec})
    await cluster.apply(deployment(namespace, replicas=2))
    probe = Probe(api, namespace)
    await probe.rolled_out()

    async def counted() -> bool:
        found = (await api.get(f"{budgets}/probe")).body
        return at(found, "status.currentHealthy") == 2

    await wait_until(counted, 10, "the budget has counted the pods")
    return probe


async def evict(probe: Probe, name: object) -> tuple[int, str]:
    path = f"{path_of('Pod', probe.namespace)}/{name}/eviction"
    metadata = {"name": name, "namespace": probe.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    answer = await probe.api.send("POST", path, body)
    return answer.status, str(answer.at("message"))


async def test_an_eviction_that_the_budget_forbids_is_refused_with_429(
    cluster: RealCluster, api: Client, namespace: str
) -> None:
    probe = await with_budget(api, cluster, namespace, least=2)
    before = await probe.pods()
    status, message = await evict(probe, at(before[0], "metadata.name"))
    assert status == 429
    assert message == "Cannot evict pod as it would violate the pod's disruption budget."
    after = {at(pod, "metadata.uid") for pod in await probe.pods()}
    assert after == {at(pod, "metadata.uid") for pod in before}


async def test_evictions_go_one_by_one_while_the_budget_has_room(
    cluster: RealCluster, api: Client, namespace: str
) -> None:
    probe = await with_budget(api, cluster, namespace, least=1)
    first, second = [at(pod, "metadata.name") for pod in await probe.pods()]
    assert (await evict(probe, first))[0] == 201
    assert (await evict(probe, second))[0] == 429

    async def room_again() -> bool:
        return (await evict(probe, second))[0] == 201

    await wait_until(room_again, 30, "the first one's successor is ready")
    await probe.rolled_out()


async def test_a_drain_waits_for_the_budget_and_leaves_the_node_cordoned(
    cluster: RealCluster, api: Client, namespace: str
) -> None:
    await with_budget(api, cluster, namespace, least=2)
    mine = ("--pod-selector=app=probe", "--timeout=3s", "--force", "--ignore-daemonsets")
    try:
        with pytest.raises(ClusterError, match="violate the pod's disruption budget"):
            cluster.kubectl("drain", NODE, *mine)
        node = await cluster.get("Node", "", NODE)
        assert at(node, "spec.unschedulable") is True
        taints = {taint["key"] for taint in items(node, "spec.taints")}
        assert "node.kubernetes.io/unschedulable" in taints
    finally:
        cluster.kubectl("uncordon", NODE)


async def test_a_drain_without_a_budget_moves_every_pod(
    cluster: RealCluster, api: Client, namespace: str
) -> None:
    await cluster.apply(deployment(namespace, replicas=2))
    probe = Probe(api, namespace)
    await probe.rolled_out()
    before = {at(pod, "metadata.uid") for pod in await probe.pods()}
    try:
        drained = ("--pod-selector=app=probe", "--timeout=60s", "--ignore-daemonsets")
        cluster.kubectl("drain", NODE, *drained)
        waiting = await probe.pods()
        assert not before & {at(pod, "metadata.uid") for pod in waiting}
        assert {at(pod, "status.phase") for pod in waiting} == {"Pending"}
    finally:
        cluster.kubectl("uncordon", NODE)
    await probe.rolled_out()
