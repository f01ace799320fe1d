"""What the exporter tells of a real cluster is what kubectl tells."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from exporter.clients.open import OpenClients
from exporter.collectors import kubernetes, usage
from exporter.contract import PolledSource, Source
from exporter.shared.clock import SystemClock
from tests.bed.cluster import probe_manifests
from tests.bed.cluster.client import at, items
from tests.bed.cluster.kubectl import Kubectl
from tests.bed.cluster.real import RealCluster
from tests.bed.process import wait_until
from tests.published import Page

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]

WITHIN = 120.0
"""Seconds: metrics-server needs two scrapes of a new pod, and the machine may be loaded."""
KIND = Mapping[str, object]


class Sources:
    """All sources of both collectors at work, and what they publish."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}

    def series(self, metric: str) -> dict[tuple[str, ...], float]:
        """Return the series of a metric by their label values."""
        return {
            labels: value
            for page in self.pages.values()
            for labels, value in page.series(metric).items()
        }

    def read(self, kpi: str) -> dict[tuple[str, ...], float]:
        """Return the readings of a KPI by their subjects' values."""
        return {s: v for page in self.pages.values() for s, v in page.read(kpi).items()}

    async def until(self, holds: Callable[[], object], what: str) -> None:
        """Wait until something holds."""

        async def asked() -> bool:
            return bool(holds())

        await wait_until(asked, WITHIN, what)


@asynccontextmanager
async def sources(kubeconfig: Path) -> AsyncIterator[Sources]:
    """Run them; a polled source again and again."""
    clients = OpenClients(kubeconfig=kubeconfig, applications=(), clock=SystemClock())
    found = Sources()
    settings = usage.Settings.model_validate({"interval": "1s", "summary_interval": "1s"})
    started: list[tuple[str, Source]] = [
        *(("k", one) for one in kubernetes.SPEC.sources(kubernetes.Settings(), clients)),
        *(("u", one) for one in usage.SPEC.sources(settings, clients)),
    ]
    tasks = []
    for prefix, source in started:
        page = found.pages[f"{prefix}/{source.name}"] = Page()
        tasks.append(asyncio.create_task(_run(source, page)))
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await clients.close()


async def _run(source: Source, page: Page) -> None:
    if isinstance(source, PolledSource):
        while True:
            collected = await source.collect()
            page.put("", collected.samples, collected.readings)
            await asyncio.sleep(1)
    await source.run(page)


@pytest_asyncio.fixture(loop_scope="session")
async def told(cluster: RealCluster) -> AsyncIterator[Sources]:
    async with sources(cluster.kubeconfig) as found:
        yield found


def listed(kubectl: Kubectl, *what: str) -> list[dict[str, object]]:
    """Return objects as kubectl gets them."""
    return items(json.loads(kubectl("get", *what, "-o", "json")))


def named(obj: KIND) -> tuple[str, str]:
    return str(at(obj, "metadata.namespace")), str(at(obj, "metadata.name"))


async def test_nodes_pods_and_the_api_server_are_told_as_kubectl_tells_them(
    cluster: RealCluster, told: Sources
) -> None:
    kubectl = cluster.kubectl
    await told.until(lambda: all(p.synced for n, p in told.pages.items() if n == "k/pods"), "pods")
    await told.until(lambda: told.series("kpi_apiserver_info"), "the API server has answered")
    nodes = {str(at(node, "metadata.name")) for node in listed(kubectl, "nodes")}
    assert {labels[0] for labels in told.series("kpi_node_ready")} == nodes
    pods = {named(pod) for pod in listed(kubectl, "pods", "-A")}
    assert {labels[:2] for labels in told.series("kpi_pod_info")} == pods
    assert told.series("kpi_apiserver_ready") == {(): 1.0}
    checks = told.series("kpi_apiserver_check_ok")
    assert {name for (name,) in checks} == set(_checks(kubectl))
    version = json.loads(kubectl("version", "-o", "json"))
    assert set(told.series("kpi_apiserver_info")) == {(at(version, "serverVersion.gitVersion"),)}


def _checks(kubectl: Kubectl) -> list[str]:
    page = kubectl("get", "--raw", "/readyz?verbose").splitlines()
    return [line[3:].partition(" ")[0] for line in page if line.startswith("[+]")]


def objects(namespace: str) -> list[KIND]:
    """Return an application with everything around it, some of it in trouble."""

    def of(kind: str, api: str, name: str, spec: object) -> KIND:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}

    container = probe_manifests.container("v1")
    container["resources"] = {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "500m", "memory": "128Mi"},
    }
    deployment = probe_manifests.deployment(namespace, replicas=2)
    template = at(deployment, "spec.template.spec")
    assert isinstance(template, dict)
    template["containers"] = [container]
    failing = {"image": "probe-app:v1", "imagePullPolicy": "Never", "name": "main"}
    job = {
        "backoffLimit": 0,
        "template": {
            "spec": {"restartPolicy": "Never", "containers": [{**failing, "command": ["/none"]}]}
        },
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": probe_manifests.NAME}
    utilization = {"type": "Utilization", "averageUtilization": 70}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": utilization}}
    scaler = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 2, "metrics": [metric]}
    selector = {"matchLabels": probe_manifests.LABELS}
    storage = {"requests": {"storage": "1Gi"}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "nowhere",
        "resources": storage,
    }
    balanced = {
        "type": "LoadBalancer",
        "selector": probe_manifests.LABELS,
        "ports": [{"port": probe_manifests.PORT}],
    }
    return [
        deployment,
        of("Job", "batch/v1", "migration", job),
        of("HorizontalPodAutoscaler", "autoscaling/v2", "scaler", scaler),
        of("PodDisruptionBudget", "policy/v1", "budget", {"minAvailable": 1, "selector": selector}),
        of("PersistentVolumeClaim", "v1", "data", claim),
        of("Service", "v1", "web", balanced),
    ]


async def test_an_application_and_its_troubles_are_told_from_every_side(
    cluster: RealCluster, told: Sources, namespace: str
) -> None:
    for obj in objects(namespace):
        await cluster.apply(obj)
    workload = (namespace, probe_manifests.NAME, "deployment")

    def ours(metric: str) -> dict[tuple[str, ...], float]:
        found = told.series(metric)
        return {labels[1:]: value for labels, value in found.items() if labels[0] == namespace}

    def rolled_out() -> bool:
        return told.series("kpi_workload_replicas_available").get(workload) == 2

    await told.until(rolled_out, "the Deployment is out")
    web, scaler = ("web",), ("probe", "deployment", "scaler")
    expected: Mapping[str, tuple[tuple[str, ...], float]] = {
        "kpi_workload_progressing_reason": ((*workload[1:], "NewReplicaSetAvailable"), 1.0),
        "kpi_service_endpoints_ready": (web, 2.0),
        "kpi_load_balancer_addresses": (web, 0.0),
        "kpi_pdb_disruptions_allowed": (("budget",), 1.0),
        "kpi_pvc_requested_bytes": (("data",), 1024.0**3),
        "kpi_job_failed_reason": (("migration", "", "BackoffLimitExceeded"), 1.0),
        "kpi_hpa_at_max": (scaler, 1.0),
    }
    for metric, (labels, value) in expected.items():

        def is_told(metric: str = metric, one: tuple[str, ...] = labels, v: float = value) -> bool:
            return ours(metric).get(one) == v

        await told.until(is_told, f"{metric}{labels} is {value}")
    await told.until(lambda: ours("kpi_warning_events_total"), "warnings are counted")
    shown = told.pages["k/events"].shown["events"]
    assert 0 < len(shown) <= 10

    def ratios() -> bool:
        return workload in told.read("workload_cpu_ratio")

    await told.until(ratios, "the metrics API has measured the pods")
    used = told.series("kpi_workload_memory_usage_bytes")[workload]
    ratio = told.read("workload_memory_ratio")[workload]
    assert ratio == pytest.approx(used / (2 * 64 * 1024 * 1024))
    assert len(ours("kpi_pod_memory_usage_bytes")) == 2


async def test_nodes_are_measured_and_their_kubelets_read(
    cluster: RealCluster, told: Sources
) -> None:
    def measured() -> bool:
        return bool(told.read("node_cpu_ratio") and told.read("node_disk_ratio"))

    await told.until(measured, "metrics API and kubelet have answered")
    (node,) = [
        str(at(node, "metadata.name"))
        for node in listed(cluster.kubectl, "nodes")
        if not str(at(node, "status.nodeInfo.kubeletVersion")).startswith("kwok")
    ]
    cores = told.series("kpi_node_cpu_usage_cores")[node,]
    allocatable = told.series("kpi_node_cpu_allocatable_cores")[node,]
    assert told.read("node_cpu_ratio")[node,] == pytest.approx(cores / allocatable)
    assert 0 < told.read("node_memory_ratio")[node,] < 1
    assert 0 < told.read("node_disk_ratio")[node,] < 1
    assert told.series("kpi_node_summary_up")[node,] == 1.0
    received = told.series("kpi_node_network_receive_bytes_total")
    assert any(labels[0] == node and count > 0 for labels, count in received.items())
    assert 0 <= told.read("cluster_cpu_requested_ratio")[()] < 1
    assert told.read("cluster_pods_fit")[()] > 0
