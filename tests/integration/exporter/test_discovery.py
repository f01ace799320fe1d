"""Pods that ask to be scraped and Services with a load balancer, found through the API."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from exporter.application import Application
from exporter.clients.open import OpenClients
from exporter.collectors import app_metrics, http_probe
from exporter.contract import Collected, PolledSource, Source
from exporter.probes.settings import Settings, Target
from exporter.shared.clock import SystemClock
from exporter.shared.errors import TransientError
from tests.bed import manifests
from tests.bed.cluster.client import MERGE_PATCH, Client
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.process import wait_until
from tests.fake_clients import TASK_MANAGER

pytestmark = pytest.mark.timeout(60)
WITHIN = 20.0
ASKS = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"}
SUBJECT = ("default", "task-manager", "deployment")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with SimulatedCluster.start(tmp_path / "cluster") as started:
        await started.image("task-manager:v3")
        yield started


@pytest.fixture
async def clients(cluster: Cluster) -> AsyncIterator[OpenClients]:
    names = {"histogram", "status_label", "route_label", "errors", "apdex"}
    given = {name: getattr(TASK_MANAGER, name) for name in names}
    everywhere = Application(
        name="annotated",
        namespace="",
        selector={},
        port=None,
        path=None,
        ignore_routes=(),
        annotated=True,
        **given,
    )
    opened = OpenClients(
        kubeconfig=cluster.kubeconfig, applications=[everywhere], clock=SystemClock()
    )
    yield opened
    await opened.close()


def only(sources: object) -> PolledSource:
    assert isinstance(sources, list)
    found: list[Source] = sources
    [source] = found
    assert isinstance(source, PolledSource)
    return source


def values(found: Collected) -> dict[str, float]:
    return {s.metric.name: s.value for s in found.samples if s.labels[:3] == SUBJECT}


def _reason(found: Collected) -> str:
    [reason] = [s.labels[-1] for s in found.samples if s.metric is http_probe.SKIPPED]
    return reason


async def test_pods_of_any_namespace_that_ask_for_it_are_read(
    cluster: Cluster, clients: OpenClients
) -> None:
    await cluster.apply(manifests.deployment("v3", replicas=2, env={}))
    source = only(app_metrics.sources(app_metrics.Settings(), clients))
    seen: list[Collected] = []

    async def read(pods: int) -> bool:
        try:
            seen.append(await source.collect())
        except TransientError:
            return pods == 0
        return values(seen[-1]).get("kpi_application_pods") == pods

    async def known() -> bool:
        return await read(0) and clients.pods.synced

    await wait_until(known, WITHIN, "the pods are known, and nobody asks for it")
    template = {"metadata": {"annotations": ASKS}}
    await cluster.apply({**manifests.release("v3"), "spec": {"template": template}})
    await wait_until(lambda: read(2), WITHIN, "both pods of the new template are read")


async def test_a_service_is_probed_once_its_load_balancer_has_an_address(
    cluster: Cluster, clients: OpenClients
) -> None:
    await cluster.apply(manifests.deployment("v3", replicas=1, env={}))
    target = Target.model_validate(
        {"name": "front", "service": "default/task-manager", "path": "/health"}
    )
    source = only(http_probe.sources(Settings(targets=(target,)), clients))
    assert _reason(await source.collect()) == "service_missing"
    service = manifests.service()
    await cluster.apply(service)
    assert _reason(await source.collect()) == "no_load_balancer"
    await cluster.apply({**service, "spec": {"type": "LoadBalancer"}})
    assert _reason(await source.collect()) == "load_balancer_pending"
    found = await cluster.get("Service", "default", "task-manager")
    assert found is not None
    spec = found["spec"]
    assert isinstance(spec, dict)
    status = {"loadBalancer": {"ingress": [{"ip": spec["clusterIP"]}]}}
    path = "/api/v1/namespaces/default/services/task-manager/status"
    async with Client.connect(cluster.kubeconfig) as cloud:
        patch = {"status": status}
        answer = await cloud.send("PATCH", path, patch, content_type=MERGE_PATCH)
    assert answer.status == 200

    async def answers() -> bool:
        return values(await source.collect()).get("kpi_probe_success") == 1

    await wait_until(answers, WITHIN, "the Service answers")
