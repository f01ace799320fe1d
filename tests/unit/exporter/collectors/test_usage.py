"""The collector's passes: what one node or one answer does wrong loses nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from msgspec.structs import replace
from pydantic import ValidationError
from typing_extensions import override

from exporter.collectors.usage import SPEC, Settings
from exporter.contract import Collected, PolledSource, Source, StreamedSource
from exporter.ports import Answer
from exporter.shared.errors import PermanentError, RunbookdError, TransientError
from exporter.watch.nodes import NodeRecord, node_record
from exporter.watch.objects import Node, Pod
from exporter.watch.pods import pod_record
from tests.fake_clients import FakeClients, FakeKube
from tests.kube_cases import DATA, decoded, recorded, replica_sets
from tests.published import Page

METRICS_NODES = "/apis/metrics.k8s.io/v1beta1/nodes"
METRICS_PODS = "/apis/metrics.k8s.io/v1beta1/pods"
NODE = node_record(decoded(Node, recorded("nodes")[0]))
SUMMARY = Answer(200, (DATA / "stats_summary.json").read_bytes())
SETTINGS = Settings(node_deadline=timedelta(seconds=1))
MINUTE = 60.0


def named(*names: str) -> list[NodeRecord]:
    return [replace(NODE, name=name, uid=name) for name in names]


def summary_of(name: str) -> str:
    return f"/api/v1/nodes/{name}/proxy/stats/summary"


def world(*nodes: str) -> FakeClients:
    """Return a cluster of the recorded pods, with nodes of these names."""
    clients = FakeClients()
    clients.nodes.nodes = [*named(*nodes)]
    clients.pods.watched = [
        pod_record(decoded(Pod, raw), replica_sets()) for raw in recorded("pods")
    ]
    for name in ("metrics_nodes", "metrics_pods"):
        body = (DATA / f"{name}.json").read_bytes()
        clients.kube.answers[f"/apis/metrics.k8s.io/v1beta1/{name[8:]}"] = Answer(200, body)
    for name in nodes:
        clients.kube.answers[summary_of(name)] = SUMMARY
    return clients


def source(name: str, clients: FakeClients, settings: Settings = SETTINGS) -> Source:
    (found,) = [one for one in SPEC.sources(settings, clients) if one.name == name]
    return found


async def collected(name: str, clients: FakeClients, settings: Settings = SETTINGS) -> Collected:
    polled = source(name, clients, settings)
    assert isinstance(polled, PolledSource)
    return await polled.collect()


class Running:
    """A streamed source at work."""

    def __init__(self, clients: FakeClients, page: Page, task: "asyncio.Task[None]") -> None:
        self.clients = clients
        self.page = page
        self.task = task

    async def until(self, holds: Callable[[], object]) -> None:
        for _ in range(10_000):
            if holds():
                return
            await asyncio.sleep(0)
        raise AssertionError("it did not come to that")

    async def next_pass(self, seconds: float) -> None:
        told = self.page.alive_told
        self.clients.clock.advance(seconds)
        await self.until(lambda: self.page.alive_told > told or self.task.done())


@asynccontextmanager
async def running(
    name: str, clients: FakeClients, settings: Settings = SETTINGS
) -> AsyncIterator[Running]:
    streamed, page = source(name, clients, settings), Page()
    assert isinstance(streamed, StreamedSource)
    task = asyncio.ensure_future(streamed.run(page))
    work = Running(clients, page, task)
    await work.until(lambda: page.alive_told or task.done())
    yield work
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def nodes_of(series: Iterable[tuple[str, ...]]) -> set[str]:
    return {labels[0] for labels in series}


async def test_nodes_are_told_with_their_ratios() -> None:
    found = await collected("nodes", world("bed"))
    assert [sample.labels for sample in found.samples] == [("bed",), ("bed",)]
    assert {reading.kpi for reading in found.readings} == {"node_cpu_ratio", "node_memory_ratio"}


async def test_an_answer_that_is_no_list_is_an_error_in_words() -> None:
    clients = world("bed")
    clients.kube.answers[METRICS_NODES] = Answer(200, b"<html>")
    with pytest.raises(PermanentError, match="UsageList"):
        await collected("nodes", clients)


async def test_pods_and_workloads_are_told_and_swept_when_they_go() -> None:
    clients = world("bed")
    async with running("pods", clients) as work:
        known = {pod.uid for pod in clients.pods.watched}
        workloads = {key for key in work.page.samples if key.startswith("workload/")}
        assert set(work.page.samples) <= known | workloads
        of_task_manager = ("default", "task-manager", "deployment")
        assert work.page.read("workload_cpu_ratio").keys() == {of_task_manager, POSTGRES}
        assert len(work.page.series("kpi_pod_cpu_usage_cores")) == 2
        clients.kube.answers[METRICS_PODS] = Answer(200, b'{"items": []}')
        await work.next_pass(30.0)
        assert work.page.samples == {}


POSTGRES = ("default", "postgres", "statefulset")


async def test_what_ends_a_pass_ends_the_stream_and_the_schedule_starts_it_again() -> None:
    clients = world("bed")
    clients.kube.answers[METRICS_PODS] = TransientError("503")
    async with running("pods", clients) as work:
        assert isinstance(work.task.exception(), TransientError)
        assert work.page.alive_told == 0


async def test_one_kubelet_that_fails_loses_no_other_and_is_counted() -> None:
    clients = world("a", "b")
    clients.kube.answers[summary_of("b")] = PermanentError("403")
    async with running("summaries", clients) as work:
        page = work.page
        assert page.series("kpi_node_summary_up") == {("a",): 1.0, ("b",): 0.0}
        assert page.series("kpi_node_summary_failures_total") == {("a",): 0.0, ("b",): 1.0}
        assert nodes_of(page.series("kpi_node_filesystem_available_bytes")) == {"a"}
        assert page.read("node_disk_ratio").keys() == {("a",)}
        await work.next_pass(MINUTE)
        assert page.series("kpi_node_summary_failures_total")["b",] == 2.0


async def test_what_a_kubelet_last_told_is_dropped_after_three_misses() -> None:
    clients = world("a", "b")
    async with running("summaries", clients) as work:
        clients.kube.answers[summary_of("b")] = Answer(200, b"no JSON")
        for misses, kept in ((1, True), (2, True), (3, False)):
            await work.next_pass(MINUTE)
            assert work.page.series("kpi_node_summary_failures_total")["b",] == misses
            told = nodes_of(work.page.series("kpi_node_network_receive_bytes_total"))
            assert ("b" in told) is kept
        clients.kube.answers[summary_of("b")] = SUMMARY
        await work.next_pass(MINUTE)
        assert work.page.series("kpi_node_summary_up")["b",] == 1.0
        assert "b" in nodes_of(work.page.series("kpi_node_network_receive_bytes_total"))


async def test_when_no_kubelet_answers_the_source_fails_and_says_so() -> None:
    clients = world("a", "b")
    for name in ("a", "b"):
        clients.kube.answers[summary_of(name)] = PermanentError("nodes/proxy is forbidden")
    async with running("summaries", clients) as work:
        error = work.task.exception()
        assert isinstance(error, TransientError)
        assert "of 2: nodes/proxy is forbidden" in str(error)
        assert work.page.series("kpi_node_summary_up") == {("a",): 0.0, ("b",): 0.0}


async def test_a_node_that_is_gone_takes_its_series_along() -> None:
    clients = world("a", "b")
    async with running("summaries", clients) as work:
        clients.nodes.nodes = [*named("a")]
        await work.next_pass(MINUTE)
        assert work.page.samples.keys() == {"data/a", "health/a"}


class Crowd(FakeKube):
    """Counts how many lists are open at once; one of a path that hangs never ends."""

    def __init__(self, answers: dict[str, Answer | RunbookdError], hangs: str = "") -> None:
        super().__init__()
        self.answers = answers
        self.most = 0
        self._open = 0
        self._hangs = hangs

    @override
    async def ask(self, path: str, *, deadline: timedelta) -> Answer:
        self._open += 1
        self.most = max(self.most, self._open)
        try:
            if path == self._hangs:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            return await super().ask(path, deadline=deadline)
        finally:
            self._open -= 1


async def test_no_more_kubelets_are_read_at_once_than_allowed() -> None:
    clients = world(*(f"n{number}" for number in range(20)))
    crowd = clients.kube = Crowd(clients.kube.answers)
    async with running("summaries", clients, Settings(concurrency=3)) as work:
        assert len(work.page.series("kpi_node_summary_up")) == 20
        assert crowd.most == 3


async def test_a_kubelet_that_hangs_is_given_up_by_itself() -> None:
    clients = world("a", "b")
    clients.kube = Crowd(clients.kube.answers, hangs=summary_of("b"))
    settings = Settings(node_deadline=timedelta(milliseconds=1))
    streamed, page = source("summaries", clients, settings), Page()
    assert isinstance(streamed, StreamedSource)
    task = asyncio.ensure_future(streamed.run(page))
    async with asyncio.timeout(5):
        while not page.alive_told:
            await asyncio.wait({task}, timeout=0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert page.series("kpi_node_summary_up") == {("a",): 1.0, ("b",): 0.0}


async def test_capacity_is_told_of_what_the_pods_reserve() -> None:
    clients = world("bed")
    found = await collected("capacity", clients)
    values = {sample.metric.name: sample.value for sample in found.samples}
    assert values["kpi_node_pods_placed"] == 3.0  # one has ended, one has no place
    assert {reading.kpi for reading in found.readings} == {
        "cluster_cpu_requested_ratio",
        "cluster_memory_requested_ratio",
        "cluster_pods_fit",
    }
    configured = Settings.model_validate({"pod_size": {"cpu": "500m", "memory": "1Gi"}})
    found = await collected("capacity", clients, configured)
    sizes = {
        (sample.metric.name, sample.labels): sample.value
        for sample in found.samples
        if "pod_size" in sample.metric.name
    }
    assert sizes == {
        ("kpi_cluster_pod_size_cpu_cores", ("configured",)): 0.5,
        ("kpi_cluster_pod_size_memory_bytes", ("configured",)): 1024.0**3,
    }


async def test_nothing_is_said_of_capacity_before_nodes_and_pods_are_listed() -> None:
    clients = world("bed")
    clients.pods.synced = False
    with pytest.raises(TransientError, match="not listed yet"):
        await collected("capacity", clients, Settings(timeout=timedelta(milliseconds=20)))


@pytest.mark.parametrize("amount", ["0", "-1", "ten", "", "1 Gi"])
def test_a_pod_size_that_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValidationError, match="is no amount"):
        Settings.model_validate({"pod_size": {"cpu": amount, "memory": "1Gi"}})


def test_without_summaries_no_kubelet_is_asked() -> None:
    names = {one.name for one in SPEC.sources(Settings(summaries=False), FakeClients())}
    assert names == {"nodes", "pods", "capacity"}
