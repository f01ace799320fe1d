"""The whole responder with runbooks under way: a real program, cluster and Prometheus."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from exporter.shared.clock import SystemClock
from tests.bed import manifests
from tests.bed import responder as beds
from tests.bed.process import wait_until
from tests.bed.prometheus import Prometheus
from tests.bed.responder import Alone

POLICY = """
version: 1
targets:
  workload: {kind: $workload_type, namespace: $namespace, name: $workload}
runbooks:
  - name: bench
    match: ['alertname="Bench"']
    target: workload
    mode: act
    steps: [{restart: {}}, {verify: {kpi: error_ratio, settle: 30s, window: 1h, timeout: 2h}}]
escalation:
  default: [{after: 0m, notify: [oncall-pager]}, {after: 15m, notify: [senior-pager]}]
gate: {namespaces: {allow: [default]}, budget: {cluster_per_hour: 1000}}
"""
"""Every run comes to its verification within seconds and stays there, as a real one does."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is measured."""

    port: int
    token: str
    pid: int


@asynccontextmanager
async def start(root: Path, runs: int, core: int) -> AsyncIterator[Server]:
    """Start a responder on one core and `runs` runs in it; all else runs where the caller does."""
    policies = root / "policies"
    policies.mkdir(parents=True)
    (policies / "bench.yaml").write_text(POLICY)
    argv = ["taskset", "--cpu-list", str(core), sys.executable, "-m", "responder"]
    async with (
        Prometheus.start(root) as prometheus,
        beds.start(
            root, policies=policies, factor=1, prometheus=prometheus.url, program=argv
        ) as alone,
    ):
        for number in range(runs):
            manifest = manifests.deployment("v3", replicas=0, env={})
            await alone.cluster.apply(manifest | {"metadata": _metadata(number)})
        await asyncio.gather(*(_fire(alone, number) for number in range(runs)))
        await wait_until(lambda: _verifying(alone, runs), 120, f"{runs} runs verify")
        process = alone.responder.process
        assert process is not None
        yield Server(alone.places.responder_port, alone.places.token("alertmanager"), process.pid)


def _metadata(number: int) -> dict[str, object]:
    return {"name": f"busy-{number}", "namespace": manifests.NAMESPACE}


async def _fire(alone: Alone, number: int) -> None:
    labels = {"alertname": "Bench", "severity": "critical", "namespace": manifests.NAMESPACE}
    labels |= {"workload": f"busy-{number}", "workload_type": "deployment"}
    alert = {
        "status": "firing",
        "labels": labels,
        "startsAt": SystemClock().now().isoformat(),
        "fingerprint": f"{number:016x}",
    }
    headers = {"Authorization": f"Bearer {alone.places.token('alertmanager')}"}
    async with (
        aiohttp.ClientSession(alone.responder.url, headers=headers) as session,
        session.post("/api/v1/alerts", json={"version": "4", "alerts": [alert]}) as answer,
    ):
        assert answer.status == 200


async def _verifying(alone: Alone, runs: int) -> bool:
    async with (
        aiohttp.ClientSession(alone.responder.url) as session,
        session.get("/metrics") as answer,
    ):
        page = await answer.text()
    return f'responder_actions_total{{action="restart",outcome="done"}} {runs}.0' in page
