"""What pods and Services do on every form of the cluster."""

import aiohttp
import pytest

from tests.bed.cluster.client import STRATEGIC_PATCH, Client, at, items
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.probe_manifests import (
    PORT,
    config_map,
    container,
    deployment,
    release,
    service,
)
from tests.bed.cluster.rollouts import Probe
from tests.bed.process import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_KEEP_ALIVE = {"Connection": "close"}


@pytest.fixture
def probe(api: Client, namespace: str) -> Probe:
    return Probe(api, namespace)


async def address_of(probe: Probe) -> str:
    [pod] = await probe.pods()
    return f"http://{at(pod, 'status.podIP')}:{PORT}"


async def container_status(probe: Probe) -> dict[str, object]:
    pods = await probe.pods()
    return (items(pods[0], "status.containerStatuses") or [{}])[0] if pods else {}


async def text_at(url: str) -> str:
    async with (
        aiohttp.ClientSession(headers=NO_KEEP_ALIVE) as session,
        session.get(url) as response,
    ):
        return await response.text()


async def crash(url: str) -> None:
    try:
        await text_at(f"{url}/crash")
    except aiohttp.ClientError:
        return  # it took its answer with it
    raise AssertionError("the program answered after its own end")


async def reasons(probe: Probe) -> set[str]:
    events = await probe.api.get(f"/api/v1/namespaces/{probe.namespace}/events")
    return {str(event["reason"]) for event in items(events.body)}


async def test_a_pod_serves_at_its_own_address_and_port(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace))
    await probe.rolled_out()
    [pod] = await probe.pods()
    assert await text_at(await address_of(probe)) == f"v1 {at(pod, 'metadata.name')}\n"
    status = await container_status(probe)
    assert (status["ready"], status["restartCount"]) == (True, 0)
    assert at(status, "state.running.startedAt")
    path = f"/api/v1/namespaces/{probe.namespace}/pods/{at(pod, 'metadata.name')}/log"
    assert (await probe.api.get(path)).text.startswith("probe-app v1")
    previous = await probe.api.get(path, previous="true")
    assert (previous.status, previous.at("reason")) == (400, "BadRequest")
    shown = f'container "probe" in pod "{at(pod, "metadata.name")}" not found'
    assert previous.at("message") == f"previous terminated {shown}"


async def test_a_service_spreads_over_ready_pods_and_refuses_without_any(
    cluster: Cluster, probe: Probe
) -> None:
    await cluster.apply(service(probe.namespace))
    found = await cluster.get("Service", probe.namespace, "probe")
    url = f"http://{at(found, 'spec.clusterIP')}:{PORT}"
    with pytest.raises(aiohttp.ClientConnectorError):
        await text_at(url)
    await cluster.apply(deployment(probe.namespace, replicas=2))
    await probe.rolled_out()
    names = {f"v1 {at(pod, 'metadata.name')}\n" for pod in await probe.pods()}
    seen: set[str] = set()

    async def spread() -> bool:
        try:
            seen.add(await text_at(url))
        except aiohttp.ClientConnectorError:
            return False  # the node's rules follow the pods
        return len(seen) > 1

    await wait_until(spread, 10, "both pods answer")
    assert seen == names


async def test_a_crash_is_counted_and_its_log_is_kept(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace))
    await probe.rolled_out()
    await crash(await address_of(probe))

    async def restarted() -> bool:
        status = await container_status(probe)
        return status["restartCount"] == 1 and status["ready"] is True

    await wait_until(restarted, 10, "the container runs again")
    status = await container_status(probe)
    assert at(status, "lastState.terminated.exitCode") == 3
    assert at(status, "lastState.terminated.reason") == "Error"
    [pod] = await probe.pods()
    path = f"/api/v1/namespaces/{probe.namespace}/pods/{at(pod, 'metadata.name')}/log"
    previous = await probe.api.get(path, previous="true", tailLines="1")
    assert previous.text == "asked to crash\n"
    assert "asked" not in (await probe.api.get(path)).text


async def test_a_container_that_keeps_crashing_is_backed_off(
    cluster: Cluster, probe: Probe
) -> None:
    await cluster.apply(deployment(probe.namespace, "crash"))

    async def backed_off() -> bool:
        status = await container_status(probe)
        return at(status, "state.waiting.reason") == "CrashLoopBackOff"

    await wait_until(backed_off, 15, "CrashLoopBackOff")
    status = await container_status(probe)
    assert int(str(status["restartCount"])) >= 1
    assert at(status, "lastState.terminated.exitCode") == 3
    assert {"Scheduled", "Pulled", "Started", "BackOff", "SuccessfulCreate"} <= await reasons(probe)
    [pod] = await probe.pods()
    assert at(pod, "status.phase") == "Running"


async def test_an_unknown_image_waits_and_can_be_replaced(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace, "no-such-tag"))

    async def waiting() -> bool:
        reason = at(await container_status(probe), "state.waiting.reason")
        return reason in {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"}

    await wait_until(waiting, 10, "the image is missing")
    [pod] = await probe.pods()
    assert at(pod, "status.phase") == "Pending"
    await cluster.apply(release(probe.namespace, "v1"))
    await probe.rolled_out()


async def test_an_unready_pod_says_why_and_gets_no_traffic(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(deployment(probe.namespace, "sick"))

    async def told() -> list[object]:
        pods = await probe.pods()
        name = at(pods[0], "metadata.name") if pods else ""
        query = f"involvedObject.name={name},reason=Unhealthy,type=Warning"
        path = f"/api/v1/namespaces/{probe.namespace}/events"
        found = items((await probe.api.get(path, fieldSelector=query)).body)
        return [event["message"] for event in found if "503" in str(event["message"])]

    await wait_until(told, 10, "the probe's failure is an event")
    assert (await container_status(probe))["ready"] is False


async def test_a_failed_liveness_probe_restarts_the_container(
    cluster: Cluster, probe: Probe
) -> None:
    liveness = {
        "httpGet": {"path": "/health", "port": PORT},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    await cluster.apply(deployment(probe.namespace, "sick"))
    patch = {"spec": {"containers": [{"name": "probe", "livenessProbe": liveness}]}}
    body = {"spec": {"template": patch}}
    await probe.api.send("PATCH", probe.path, body, content_type=STRATEGIC_PATCH)

    async def restarted() -> bool:
        pods = await probe.pods()
        return any(
            int(str(status["restartCount"])) > 0
            for pod in pods
            for status in items(pod, "status.containerStatuses")
        )

    await wait_until(restarted, 15, "the container was restarted")
    assert "Killing" in await reasons(probe)


async def test_environment_comes_from_values_and_references(cluster: Cluster, probe: Probe) -> None:
    await cluster.apply(config_map(probe.namespace, "words", greeting="hello"))
    manifest = deployment(probe.namespace)
    reference = {"configMapKeyRef": {"name": "words", "key": "greeting"}}
    env = [*items(container("v1"), "env"), {"name": "GREETING", "valueFrom": reference}]
    items(manifest, "spec.template.spec.containers")[0]["env"] = env
    await cluster.apply(manifest)
    await probe.rolled_out()
    [pod] = await probe.pods()
    path = f"/api/v1/namespaces/{probe.namespace}/pods/{at(pod, 'metadata.name')}/log"
    assert (await probe.api.get(path)).text == "probe-app v1 hello\n"


async def test_the_node_is_ready_and_tells_its_version(api: Client) -> None:
    [node] = items((await api.get("/api/v1/nodes")).body)
    ready = next(c for c in items(node, "status.conditions") if c["type"] == "Ready")
    assert ready["status"] == "True"
    assert str(at(node, "status.nodeInfo.kubeletVersion")).startswith("v1.")
