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
from tests.bed.cluster.interface import Cluster, Fault
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.process import wait_until
from tests.published import Page

pytestmark = pytest.mark.timeout(60)

Series = dict[tuple[str, ...], float]


class Exporter:
    """The collector's sources, running, and what they say."""

    def __init__(self, cluster: Cluster) -> None:
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
