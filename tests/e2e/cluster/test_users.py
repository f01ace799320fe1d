"""Who may do what, and what of it is on record."""

import json

import pytest

from tests.bed.cluster.client import Client, at
from tests.bed.cluster.real import RealCluster
from tests.bed.cluster.rest import ClusterError, path_of
from tests.bed.process import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("user", ["responder", "exporter"])
async def test_a_user_may_do_nothing_until_a_role_is_bound(
    cluster: RealCluster, namespace: str, user: str
) -> None:
    async with Client.connect(cluster.kubeconfigs[user]) as api:
        refused = await api.get(path_of("Pod", namespace))
        assert (refused.status, refused.at("reason")) == (403, "Forbidden")
        bind = ("--clusterrole=view", f"--user={user}", f"--namespace={namespace}")
        cluster.kubectl("create", "rolebinding", user, *bind)

        async def allowed() -> bool:
            return (await api.get(path_of("Pod", namespace))).status == 200

        await wait_until(allowed, 10, f"{user} may look")
        assert (await api.get(path_of("Secret", namespace))).status == 403


async def test_an_unknown_token_is_refused(cluster: RealCluster) -> None:
    with pytest.raises(ClusterError, match="must be logged in"):
        cluster.kubectl("--token=unknown", "get", "pods")


async def test_requests_are_on_record(cluster: RealCluster, namespace: str) -> None:
    async with Client.connect(cluster.kubeconfigs["responder"], user_agent=namespace) as api:
        await api.get(f"{path_of('Pod', namespace)}/one")
        async with api.watch(path_of("Pod", namespace)):
            pass
    seen = [(r.verb, r.path) for r in cluster.requests() if r.user_agent == namespace]
    pods = path_of("Pod", namespace)
    assert seen == [("get", f"{pods}/one"), ("watch", pods)]
    assert not any(r.user_agent == "bed" for r in cluster.requests())
    lines = cluster.places.audit_log.read_text().splitlines()
    mine = [event for event in map(json.loads, lines) if event.get("userAgent") == namespace]
    assert {at(event, "user.username") for event in mine} == {"responder"}
    ends = [event for event in mine if event["stage"] == "ResponseComplete"]
    assert {at(event, "responseStatus.code") for event in ends} == {403}
