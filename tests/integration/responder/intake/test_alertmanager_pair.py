"""Two Alertmanagers that gossip, and a receiver slower than they wait for each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from tests.bed import manifests
from tests.bed import responder as beds
from tests.bed.alertmanager import Alertmanager, Gossip
from tests.bed.process import free_port, wait_until
from tests.bed.responder import Alone
from tests.bed.service import Service

pytestmark = pytest.mark.timeout(90)

PEER_TIMEOUT = timedelta(seconds=1)
"""How long the second waits for the first to say that it has told; 15 s by default."""

POLICY = """
version: 1
targets:
  workload: {kind: $workload_type, namespace: $namespace, name: $workload}
runbooks:
  - name: roll
    match: ['alertname="Broken"']
    target: workload
    mode: act
    steps: [{restart: {}}]
escalation:
  default: [{after: 0m, notify: [oncall-pager]}, {after: 2h, notify: [senior-pager]}]
gate: {namespaces: {allow: [default]}}
"""


@asynccontextmanager
async def pair(root: Path, alone: Alone, port: int) -> AsyncIterator[list[Alertmanager]]:
    """Run two peers that deliver to `port`."""
    token = {"type": "Bearer", "credentials_file": str(alone.places.token_file("alertmanager"))}
    hook = {
        "url": f"http://127.0.0.1:{port}/api/v1/alerts",
        "http_config": {"authorization": token},
    }
    config = {
        "route": {
            "receiver": "responder",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1h",
        },
        "receivers": [{"name": "responder", "webhook_configs": [hook]}],
    }
    ports = [free_port(), free_port()]
    async with AsyncExitStack() as stack:
        peers = []
        for number, own in enumerate(ports):
            gossip = Gossip(own, tuple(ports[:number]), PEER_TIMEOUT)
            peer = Alertmanager.start(root / f"peer-{number}", config, gossip)
            peers.append(await stack.enter_async_context(peer))
        await wait_until(lambda: both_know(peers), 20, "the peers know each other")
        yield peers


async def both_know(peers: list[Alertmanager]) -> bool:
    return all([await peer.peers() == 2 for peer in peers])


async def test_two_deliveries_of_one_alert_are_one_incident_and_one_action(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY)
    port = free_port()
    async with (
        beds.start(tmp_path, policies=policies) as alone,
        Service.start(port, [alone.responder.url]) as service,
        pair(tmp_path, alone, port) as peers,
    ):
        service.delay = 3 * PEER_TIMEOUT  # longer than the second waits: it tells it, too
        before = await generation(alone)
        now = SystemClock().now()
        labels = {"alertname": "Broken", "namespace": manifests.NAMESPACE}
        labels |= {"workload": manifests.NAME, "workload_type": "deployment"}
        alert = {
            "labels": labels,
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
        }
        await asyncio.gather(*(peer.post_alerts([alert]) for peer in peers))
        await wait_until(lambda: stored(alone, 2), 20, "both have delivered it")
        await wait_until(lambda: over(alone), 30, "the run is over")
        _, incidents = await alone.call("GET", "/api/v1/incidents", who="console")
        assert isinstance(incidents, list)
        assert len(incidents) == 1
        assert await generation(alone) == before + 1


async def stored(alone: Alone, times: int) -> bool:
    _, page = await alone.call("GET", "/metrics")
    return f'responder_deliveries_total{{result="stored"}} {times}.0' in str(page)


async def over(alone: Alone) -> bool:
    _, found = await alone.call("GET", "/api/v1/incidents/1", who="console")
    runs = found["runs"] if isinstance(found, dict) and "runs" in found else []
    assert isinstance(runs, list)
    results = [run["result"] for run in runs if isinstance(run, dict)]
    return results == ["completed"]


async def generation(alone: Alone) -> int:
    metadata = (await alone.deployment())["metadata"]
    assert isinstance(metadata, dict)
    return int(metadata["generation"])
