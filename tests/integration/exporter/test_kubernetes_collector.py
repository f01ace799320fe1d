"""The collector against a cluster: what is deployed, rolled out and removed shows in its series."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from exporter.clients.http import USER_AGENT
from exporter.clients.open import OpenClients
from exporter.collectors.kubernetes import SPEC, Settings
from exporter.contract import StreamedSource
from exporter.shared.clock import SystemClock
from tests.bed import manifests
from tests.bed.cluster.interface import Fault, FaultyCluster
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.process import wait_until
from tests.published import Page

pytestmark = pytest.mark.timeout(60)

Series = dict[tuple[str, ...], float]


class Exporter:
    """The collector's sources, running, and what they say."""

    def __init__(self, cluster: FaultyCluster) -> None:
        self.cluster = cluster
        self.pages: dict[str, Page] = {}
        self._clients = OpenClients(
            kubeconfig=cluster.kubeconfig, applications=(), clock=SystemClock()
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for source in SPEC.sources(Settings(), self._clients):
            if not isinstance(source, StreamedSource):
                continue
            page = self.pages[source.name] = Page()
            self._tasks.append(asyncio.create_task(_run(source, page)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        await self._clients.close()

    def series(self, metric: str) -> Series:
        """Return the series of a metric by their label values; none may be there twice."""
        found = [item for page in self.pages.values() for item in page.series(metric).items()]
        assert len(dict(found)) == len(found)
        return dict(found)

    async def until(self, holds: Callable[[], object], what: str) -> None:
        async def asked() -> bool:
            for task in self._tasks:
                assert not task.done(), task
            return bool(holds())

        await wait_until(asked, 30, what)


async def _run(source: StreamedSource, page: Page) -> None:
    await source.run(page)


@pytest.fixture
async def exporter(tmp_path: Path) -> AsyncIterator[Exporter]:
    async with SimulatedCluster.start(tmp_path / "cluster") as cluster:
        await cluster.image("task-manager:v3")
        await cluster.image("task-manager:v4")
        exporter = Exporter(cluster)
        await exporter.start()
        yield exporter
        await exporter.stop()


WORKLOAD = ("default", "task-manager", "deployment")


async def deployed(exporter: Exporter, *, replicas: int = 2) -> None:
    await exporter.cluster.apply(manifests.deployment("v3", replicas=replicas, env={}))
    await exporter.until(
        lambda: (
            exporter.series("kpi_workload_replicas_available").get(WORKLOAD) == replicas
            and exporter.series("kpi_workload_rollout_in_progress")[WORKLOAD] == 0
        ),
        "task-manager is available",
    )


async def test_a_deployment_its_roll_and_its_end_show_in_the_series(exporter: Exporter) -> None:
    await exporter.until(lambda: exporter.series("kpi_node_ready"), "the node is seen")
    assert set(exporter.series("kpi_node_ready").values()) == {1.0}
    await deployed(exporter)
    (before,) = exporter.series("kpi_workload_template_info")
    assert before[:3] == WORKLOAD
    assert before[4] == "1"
    pods = exporter.series("kpi_pod_info")
    assert len(pods) == 2
    assert {labels[2:4] for labels in pods} == {("task-manager", "deployment")}
    await exporter.until(
        lambda: sum(exporter.series("kpi_pod_ready").values()) == 2, "both pods are ready"
    )
    started = exporter.series("kpi_workload_rollout_started_timestamp_seconds")[WORKLOAD]

    await exporter.cluster.apply(manifests.release("v4"))
    await exporter.until(
        lambda: any(labels[4] == "2" for labels in exporter.series("kpi_workload_template_info")),
        "the new template is the wanted one",
    )
    await exporter.until(
        lambda: (
            exporter.series("kpi_workload_rollout_in_progress")[WORKLOAD] == 0
            and not set(exporter.series("kpi_pod_info")) & set(pods)
        ),
        "the roll is complete and the old pods' series are gone",
    )
    (after,) = exporter.series("kpi_workload_template_info")
    assert after[3] != before[3]
    assert exporter.series("kpi_workload_rollout_started_timestamp_seconds")[WORKLOAD] >= started

    await exporter.cluster.delete("Deployment", "default", "task-manager")
    await exporter.until(
        lambda: (
            not exporter.series("kpi_pod_info")
            and not exporter.series("kpi_workload_replicas_desired")
            and not any(exporter.pages["pods"].readings.values())
        ),
        "every series of the workload is gone",
    )


async def test_what_happened_while_the_watch_was_away_is_made_up_for(exporter: Exporter) -> None:
    await deployed(exporter, replicas=1)
    pods = set(exporter.series("kpi_pod_info"))
    await exporter.stop()
    # A second exporter sees the pod and the end of the listing, then half a line; after that its
    # version is too old.
    faults = exporter.cluster.faults
    await faults.add(Fault(verb="watch", path="/pods$", cut=True, cut_after=2))
    await faults.add(Fault(verb="watch", path="/pods$", status=503))
    await faults.add(Fault(verb="watch", path="/pods$", status=410))
    second = Exporter(exporter.cluster)
    await second.start()
    await second.until(lambda: second.pages["pods"].synced, "listed before the cut")
    assert set(second.series("kpi_pod_info")) == pods
    for labels in pods:
        await exporter.cluster.delete("Pod", labels[0], labels[1])
    await second.until(
        lambda: (
            not set(second.series("kpi_pod_info")) & pods
            and len(second.series("kpi_pod_info")) == 1
        ),
        "only the new pod has series",
    )
    assert {"gone", "unavailable"} <= set(second.pages["pods"].failures)
    await second.stop()


async def test_the_exporter_only_reads_and_watches_pods_once(exporter: Exporter) -> None:
    await deployed(exporter, replicas=1)
    ours = [one for one in exporter.cluster.requests() if one.user_agent == USER_AGENT]
    assert {one.verb for one in ours} <= {"get", "list", "watch"}
    assert [one.path for one in ours].count("/api/v1/pods") == 1


def named(kind: str, name: str, api: str = "v1", **fields: object) -> dict[str, object]:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        **fields,
    }


POD_SPEC = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "nowhere:1"}]}
JOB = {"template": {"spec": POD_SPEC}}
OBJECTS = {
    "kpi_job_pods_active": named("Job", "backup", "batch/v1", spec=JOB),
    "kpi_cronjob_suspended": named(
        "CronJob", "nightly", "batch/v1", spec={"schedule": "0 2 * * *", "jobTemplate": {}}
    ),
    "kpi_hpa_replicas_max": named(
        "HorizontalPodAutoscaler",
        "task-manager-hpa",
        "autoscaling/v2",
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "x"}, "maxReplicas": 10},
    ),
    "kpi_pvc_requested_bytes": named(
        "PersistentVolumeClaim", "data", spec={"resources": {"requests": {"storage": "1Gi"}}}
    ),
    "kpi_load_balancer_addresses": named(
        "Service", "web", spec={"type": "LoadBalancer", "ports": [{"port": 8000}]}
    ),
    "kpi_service_endpoints_ready": {
        **named("EndpointSlice", "web-1", "discovery.k8s.io/v1", addressType="IPv4", endpoints=[]),
        "metadata": {
            "name": "web-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "web"},
        },
    },
}
"""By a metric that the object has without any controller's help."""


async def test_objects_of_every_kind_come_and_go_with_their_series(exporter: Exporter) -> None:
    for obj in OBJECTS.values():
        await exporter.cluster.apply(obj)
    for metric in OBJECTS:

        def is_there(metric: str = metric) -> bool:
            return len(exporter.series(metric)) == 1

        await exporter.until(is_there, f"{metric} is there")
    for obj in OBJECTS.values():
        metadata = obj["metadata"]
        assert isinstance(metadata, dict)
        await exporter.cluster.delete(str(obj["kind"]), "default", metadata["name"])
    for metric in OBJECTS:

        def is_gone(metric: str = metric) -> bool:
            return not exporter.series(metric)

        await exporter.until(is_gone, f"{metric} is gone")


async def test_warnings_are_counted_and_the_last_events_shown(exporter: Exporter) -> None:
    events = exporter.pages["events"]
    await exporter.until(lambda: events.synced, "events are listed")
    assert exporter.series("kpi_warning_events_total") == {}
    await exporter.cluster.apply(named("Pod", "no-image", spec=POD_SPEC))
    failed = ("default", "Pod", "Failed")
    await exporter.until(
        lambda: failed in exporter.series("kpi_warning_events_total"), "a warning is counted"
    )
    await exporter.until(
        lambda: any(row["reason"] == "Failed" for row in events.shown["events"]), "it is shown"
    )
    assert {row["object"] for row in events.shown["events"]} == {"Pod/no-image"}
