"""An autoscaler on real metrics: busy pods, more pods, and the most that are allowed."""

import pytest

from tests.bed.cluster.client import Client, at, items
from tests.bed.cluster.real import recorded_states
from tests.bed.process import wait_until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

NAMES = {"busy", "at-its-maximum"}


@pytest.mark.usefixtures("cluster")
async def test_an_autoscaler_adds_pods_up_to_its_maximum(api: Client, namespace: str) -> None:
    """Half a minute: first figures take two scrapes, 10 s apart; the scaler looks each 15 s."""
    scalers = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    deployments = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    for manifest in recorded_states.scaling():
        name = at(manifest, "metadata.name")
        if name in NAMES:
            path = deployments if name == "busy" else scalers
            body = {**manifest, "metadata": {"name": name, "namespace": namespace}}
            assert (await api.send("POST", path, body)).status == 201

    async def limited() -> dict[str, str] | None:
        found = (await api.get(f"{scalers}/at-its-maximum")).body
        reasons = {str(c["type"]): str(c["reason"]) for c in items(found, "status.conditions")}
        return reasons if reasons.get("ScalingLimited") == "TooManyReplicas" else None

    reasons = await wait_until(limited, 150, "the autoscaler is at its maximum")
    assert reasons is not None
    assert reasons["ScalingActive"] == "ValidMetricFound"
    busy = (await api.get(f"{deployments}/busy")).body
    assert at(busy, "spec.replicas") == 2
    scaler = (await api.get(f"{scalers}/at-its-maximum")).body
    assert at(scaler, "status.desiredReplicas") == 2
    use = at(scaler, "status.currentMetrics.0.resource.current.averageUtilization")
    assert int(str(use)) > 70
