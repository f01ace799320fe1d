"""The sample application's own processes, scraped and probed as in production."""

import asyncio
import dataclasses
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from exporter.application import Application
from exporter.aws_port import AwsAccount
from exporter.clients.http import HttpClient
from exporter.clients.prober import HttpProber
from exporter.collectors import app_metrics, http_probe
from exporter.contract import Collected, PolledSource, Source
from exporter.probes.settings import Settings, Target
from exporter.shared.clock import SystemClock
from tests.bed.process import Process, free_port
from tests.bed.web_server import raw_server
from tests.fake_clients import (
    TASK_MANAGER,
    FakeAws,
    FakeCommands,
    FakeConsole,
    FakeDatabase,
    FakeKube,
    FakeNodes,
    FakePod,
    FakePods,
    FakeResolver,
)


@dataclass
class World:
    """Real time and HTTP; the pods are the test's to name."""

    root: Path
    stack: AsyncExitStack
    port: int = field(default_factory=free_port)
    clock: SystemClock = field(default_factory=SystemClock)
    pods: FakePods = field(default_factory=FakePods)
    kube: FakeKube = field(default_factory=FakeKube)
    commands: FakeCommands = field(default_factory=FakeCommands)
    nodes: FakeNodes = field(default_factory=FakeNodes)
    resolver: FakeResolver = field(default_factory=FakeResolver)
    applications: Sequence[Application] = (TASK_MANAGER,)

    def __post_init__(self) -> None:
        self.http = HttpClient()
        self.prober = HttpProber(self.clock, self.resolver)

    def database(self, dsn: str, *, collector: str, statement_timeout: timedelta) -> FakeDatabase:
        raise NotImplementedError(dsn, collector, statement_timeout)

    def pgbouncer(self, dsn: str) -> FakeConsole:
        raise NotImplementedError(dsn)

    def aws(self, account: AwsAccount) -> FakeAws:
        raise NotImplementedError(account)

    async def pod(self, ip: str, tag: str = "v3") -> Process:
        """Start a pod; without a database its tasks answer 500, its docs 200."""

        async def ready() -> bool:
            try:
                return (await self.get(ip, "/health")) == 200
            except OSError:
                return False

        process = await Process.start(
            [sys.executable, "-m", "tests.bed.task_manager", "--tag", tag],
            log=self.root / f"{ip}.log",
            name=f"pod {ip}",
            env={
                "POD_IP": ip,
                "PORT": str(self.port),
                "DATABASE_URL": "postgresql://127.0.0.1:1/x",
            },
            ready=ready,
        )
        return await self.stack.enter_async_context(process)

    async def get(self, ip: str, path: str, times: int = 1) -> int:
        status = 0
        async with aiohttp.ClientSession() as session:
            for _ in range(times):
                async with session.get(f"http://{ip}:{self.port}{path}") as answer:
                    status = answer.status
        return status

    def source(self, sources: Sequence[Source]) -> PolledSource:
        (found,) = sources
        assert isinstance(found, PolledSource)
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        made = World(tmp_path, stack)
        yield made
        await made.http.close()


def values(found: Collected) -> dict[str, float]:
    return {
        f"{s.metric.name}{s.suffix}{s.le}{''.join(s.labels[3:])}": s.value for s in found.samples
    }


async def test_requests_to_real_pods_are_counted_once_through_a_restart(world: World) -> None:
    ignored = ("/health", "/metrics")
    world.applications = (
        dataclasses.replace(TASK_MANAGER, port=world.port, ignore_routes=ignored),
    )
    source = world.source(app_metrics.sources(app_metrics.Settings(), world))
    await world.pod("127.0.3.1")
    world.pods.pods.append(FakePod("a", "127.0.3.1"))
    await world.get("127.0.3.1", "/docs", 4)
    await source.collect()
    second = await world.pod("127.0.3.2")
    world.pods.pods.append(FakePod("b", "127.0.3.2"))
    await world.get("127.0.3.1", "/docs", 3)
    await world.get("127.0.3.2", "/docs", 5)
    await world.get("127.0.3.2", "/tasks", 2)
    found = values(await source.collect())
    assert found["kpi_http_requests_total/docs"] == 8
    assert found["kpi_http_requests_total/tasks"] == 2
    assert found["kpi_http_request_errors_total/tasks"] == 2
    assert found["kpi_http_request_errors_total/docs"] == 0
    assert found["kpi_http_request_duration_seconds_count"] == 10
    assert found["kpi_http_request_duration_seconds_bucket+Inf"] == 10
    assert found["kpi_application_pods"] == 2
    assert "kpi_http_requests_total/health" not in found

    await second.stop()
    found = values(await source.collect())
    assert found["kpi_application_pods"] == 1
    await world.pod("127.0.3.2")
    await world.get("127.0.3.2", "/docs", 1)
    again = await source.collect()
    assert values(again)["kpi_http_requests_total/docs"] == 9
    ratio = {reading.kpi: reading.value for reading in again.readings}
    assert ratio["error_ratio"] == pytest.approx(2 / 11)
    assert ratio["throughput"] > 0


async def test_a_probe_of_a_real_pod_times_its_connection_and_sees_it_go(world: World) -> None:
    pod = await world.pod("127.0.3.3")
    target = Target.model_validate(
        {
            "name": "health",
            "url": f"http://127.0.3.3:{world.port}/health",
            "workload": "task-manager",
        }
    )
    settings = Settings(targets=(target,))
    source = world.source(http_probe.sources(settings, world))
    found = values(await source.collect())
    assert found["kpi_probe_successhealth"] == 1
    assert 0 < found["kpi_probe_connect_secondshealth"] < found["kpi_probe_duration_secondshealth"]
    await pod.stop()
    gone = await source.collect()
    assert values(gone)["kpi_probe_successhealth"] == 0
    assert gone.readings[0].value == 0.5


async def test_a_probe_that_the_exporter_itself_held_up_is_suspect_and_not_lost(
    world: World,
) -> None:
    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    def hold_up(seconds: float) -> None:
        until = world.clock.monotonic() + seconds
        while world.clock.monotonic() < until:
            pass

    async with raw_server(never) as port:
        url = f"http://127.0.0.1:{port}/"
        given = {"name": "slow", "url": url, "workload": "task-manager", "timeout": "300ms"}
        settings = Settings(targets=(Target.model_validate(given),))
        source = world.source(http_probe.sources(settings, world))
        lost = values(await source.collect())
        assert (lost["kpi_probe_successslow"], lost["kpi_probe_suspectslow"]) == (0, 0)
        asyncio.get_running_loop().call_later(0.1, hold_up, 0.4)
        held_up = values(await source.collect())
    assert held_up["kpi_probe_suspectslow"] == 1
    assert held_up["kpi_probe_loop_lag_secondsslow"] > 0.15
    assert held_up["kpi_probe_failures_totalslow"] == 1, "the first one alone"
    assert "kpi_probe_successslow" not in held_up
