"""The morning check as a process of its own: nothing on a healthy bed, and each planted fault."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.bed import manifests
from tests.bed.bed import LocalProgram
from tests.bed.cluster.client import MERGE_PATCH, Client, at, items
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.load import Load
from tests.bed.postgres import Postgres
from tests.bed.process import free_port, wait_until

pytestmark = pytest.mark.timeout(180)
WITHIN = 60.0

CRASHER = "crasher"


@dataclass
class Bed:
    """What is checked: an application under load behind a load balancer, and two databases."""

    cluster: SimulatedCluster
    client: Client
    postgres: Postgres
    exporter: LocalProgram
    config: Path

    async def check(self, *arguments: str) -> tuple[int, list[dict[str, str]]]:
        """Run `kpi-exporter check`; return its exit code, and what is not good or just shown."""
        argv = [sys.executable, "-m", "exporter", "check", "--output", "json", *arguments]
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        shown, told = await asyncio.wait_for(process.communicate(), WITHIN)
        assert told == b""
        assert process.returncode is not None
        findings = json.loads(shown)["findings"]
        return process.returncode, [each for each in findings if each["mark"] in "✗?"]

    async def crashes(self) -> bool:
        """Say whether the crashing pod has been started again."""
        answer = await self.client.send("GET", "/api/v1/namespaces/default/pods")
        restarts = [
            at(pod, "status.containerStatuses.0.restartCount")
            for pod in items(answer.body)
            if at(pod, "metadata.labels.app") == CRASHER
        ]
        return bool(restarts) and restarts != [0]

    async def balance(self, service: Mapping[str, object], *addresses: str) -> None:
        """Make a Service of type LoadBalancer, and be the cloud that gives it addresses."""
        spec, metadata = service["spec"], service["metadata"]
        assert isinstance(spec, dict)
        assert isinstance(metadata, dict)
        await self.cluster.apply({**service, "spec": {**spec, "type": "LoadBalancer"}})
        status = {"loadBalancer": {"ingress": [{"hostname": each} for each in addresses]}}
        path = f"/api/v1/namespaces/default/services/{metadata['name']}/status"
        patch = {"status": status}
        assert (
            await self.client.send("PATCH", path, patch, content_type=MERGE_PATCH)
        ).status == 200

    async def rolled_out(self) -> bool:
        """Say whether the application runs."""
        found = await self.cluster.get("Deployment", manifests.NAMESPACE, manifests.NAME)
        return at(found, "status.availableReplicas") == 2


def settings(bed: Bed, databases: Mapping[str, str], address: str, port: int) -> object:
    """Return the exporter's settings for the bed."""
    named = {"namespace": "default", "workload": manifests.NAME, "workload_type": "deployment"}
    probe = {"name": "backend", "url": f"http://{address}:{manifests.PORT}/health", **named}
    return {
        "listen": {"address": "127.0.0.1", "port": port},
        "cluster": "bed",
        # How fast this machine is at the moment is nothing to find here.
        "kpi_targets": {"latency_p95": 60, "network_latency": 60, "apdex": 0.01},
        "kubeconfig": str(bed.cluster.kubeconfig),
        "applications": [
            {
                "name": manifests.NAME,
                "selector": {"app": manifests.NAME},
                "port": manifests.PORT,
                "histogram": "http_request_duration_seconds",
                "status_label": "status",
                "route_label": "route",
            }
        ],
        "collectors": {
            "kubernetes": {"interval": "2s", "dns_names": ["localhost"]},
            "app_metrics": {"interval": "2s", "timeout": "2s"},
            "http_probe": {"targets": [{**probe, "interval": "2s", "timeout": "2s"}]},
            "postgres": {
                "interval": "2s",
                "databases": [{"name": name, "dsn": dsn} for name, dsn in databases.items()],
            },
        },
    }


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    preload = {"shared_preload_libraries": "pg_stat_statements"}
    async with (
        Postgres.start(tmp_path, preload) as postgres,
        SimulatedCluster.start(tmp_path / "cluster") as cluster,
        Client.connect(cluster.kubeconfig) as client,
    ):
        databases = {name: await postgres.create_database(name) for name in ("tasks", "billing")}
        for name in databases:
            await postgres.execute("CREATE EXTENSION pg_stat_statements", name)
        for tag in ("v3", "v4-crash"):
            await cluster.image(f"{manifests.NAME}:{tag}")
        config, port = tmp_path / "exporter.yaml", free_port()
        argv = [sys.executable, "-m", "exporter", "serve", "--config", str(config)]
        exporter = LocalProgram("kpi-exporter", argv, f"http://127.0.0.1:{port}", tmp_path)
        bed = Bed(cluster, client, postgres, exporter, config)
        await bed.balance(manifests.service(), "front.example")
        env = {"DATABASE_URL": databases["tasks"]}
        await cluster.apply(manifests.deployment("v3", replicas=2, env=env))
        service = await cluster.get("Service", manifests.NAMESPACE, manifests.NAME)
        address = str(at(service, "spec.clusterIP"))
        config.write_text(yaml.safe_dump(settings(bed, databases, address, port)))
        await wait_until(bed.rolled_out, WITHIN, "the application is rolled out")
        urls = [f"http://{address}:{manifests.PORT}/tasks"]
        async with Load.start(lambda: urls, rate=20):
            yield bed
            await exporter.stop()


async def plant(bed: Bed) -> None:
    """Break three things: a pod that crashes, a database, and a load balancer that never comes."""
    crasher = json.dumps(manifests.deployment("v4-crash", replicas=1, env={}))
    crasher = crasher.replace(manifests.NAME, CRASHER).replace(f"{CRASHER}:", f"{manifests.NAME}:")
    await bed.cluster.apply(json.loads(crasher))
    service = manifests.service()
    await bed.balance({**service, "metadata": {"name": "stranded", "namespace": "default"}})
    await bed.postgres.refuse_connections("billing")
    await wait_until(bed.crashes, WITHIN, "the pod has crashed")


def about(finding: Mapping[str, str]) -> tuple[str, str]:
    """Return what a finding is about; a pod of a Deployment by the name of the Deployment."""
    section, subject = finding["section"], finding["subject"]
    return section, f"default/{CRASHER}" if f"default/{CRASHER}" in subject else subject


async def test_a_healthy_bed_is_all_good_and_three_planted_faults_are_all_that_is_found(
    bed: Bed,
) -> None:
    direct = ("--config", str(bed.config), "--sample", "3s")
    assert await bed.check(*direct) == (0, [])
    await plant(bed)
    # The pod's restarts are a KPI as well, and out of its target.
    expected = {
        ("Pods", f"default/{CRASHER}"),
        ("KPIs", f"default/{CRASHER}"),
        ("Services", "default/stranded"),
        ("Databases", "billing"),
    }
    await bed.exporter.start()
    for arguments in (direct, ("--from", bed.exporter.url)):
        code, found = await bed.check(*arguments)
        assert code == 1
        assert {about(each) for each in found} == expected, found
        assert {each["mark"] for each in found} == {"✗"}
        assert all(each["step"] for each in found)
