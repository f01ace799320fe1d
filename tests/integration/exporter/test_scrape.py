"""What really reads metrics reads ours, in every form; and nobody who reads slowly holds others."""

import asyncio
import gzip
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from exporter.contract import Sample
from exporter.exposition.scrape import METRICS as OWN
from exporter.exposition.scrape import SCRAPES, TIMEOUT_HEADER, Scrapes
from exporter.exposition.snapshots import Snapshots
from exporter.exposition.store import FragmentStore
from exporter.shared.clock import SystemClock
from exporter.shared.http import Server
from tests.bed.process import program, wait_until
from tests.bed.prometheus import Prometheus, Scrape
from tests.client_exposition import COUNTER, GAUGE, METRICS

PODS = 5000
ODD = 'say "hi"\\ and\nbye, é'
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class World:
    """A page of many pods, served."""

    def __init__(self, max_requests: int) -> None:
        self.clock = SystemClock()
        self.store = FragmentStore((*METRICS, *OWN), max_series=1_000_000)
        self.pods = self.store.open(METRICS, collector="pods")
        self.apps = self.store.open(METRICS, collector="apps")
        self.own = self.store.open(OWN, budgeted=False)
        self.snapshots = Snapshots(self.store, self.clock, before=self._before)
        self.scrapes = Scrapes(self.snapshots, self.clock, lambda: {"pods", "apps"}, max_requests)
        self.server: Server
        for number in range(PODS):
            samples = [
                Sample(GAUGE, (f"pod-{number}", ODD), number),
                Sample(COUNTER, (f"/{number}",), 1),
            ]
            self.pods.put(str(number), samples)
        self.apps.put("", [Sample(GAUGE, ("app", ""), 1)])

    @property
    def url(self) -> str:
        return f"{self.server.url}/metrics"

    @property
    def text(self) -> bytes:
        return self.store.document().text()

    def failures(self, reason: str) -> float:
        samples = {sample.labels: sample.value for sample in self.scrapes.samples()}
        return samples[(reason,)]

    def _before(self) -> Iterator[None]:
        self.own.put("", self.scrapes.samples())
        yield


@asynccontextmanager
async def served(max_requests: int = 10) -> AsyncIterator[World]:
    world = World(max_requests)
    app = web.Application()
    app.add_routes([web.get("/metrics", world.scrapes.handle)])
    world.server = await Server.start(app, "127.0.0.1", 0)
    try:
        yield world
    finally:
        await world.server.close()
        await world.snapshots.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with served() as made:
        yield made


async def test_prometheus_reads_openmetrics_in_gzip(world: World, tmp_path: Path) -> None:
    target = world.server.url.removeprefix("http://")
    async with Prometheus.start(tmp_path, scrapes=[Scrape("exporter", target)]) as prometheus:

        async def scraped() -> bool:
            return [value for _, value in await prometheus.query("up")] == [1.0]

        await wait_until(scraped, 15, "up == 1")
        assert await prometheus.query("count(kpi_requests_total)") == [({}, PODS)]
        [(labels, value)] = await prometheus.query('kpi_pod_ready{pod="pod-4999"}')
        assert (labels["a_b"], value) == (ODD, 4999)
        [target_seen] = await prometheus.targets()
        assert (target_seen.health, target_seen.last_error) == ("up", "")
        assert (await prometheus.query("scrape_samples_scraped"))[0][1] > 2 * PODS


async def test_curl_aiohttp_and_gzip_read_the_same_page(world: World) -> None:
    def curl(*options: str) -> bytes:
        argv = [program("curl", package="curl"), "--silent", "--fail", *options, world.url]
        return subprocess.run(argv, capture_output=True, check=True, timeout=10).stdout

    async def by_aiohttp(*, inflate: bool = True) -> bytes:
        async with (
            aiohttp.ClientSession(auto_decompress=inflate) as session,
            session.get(world.url, headers={"Accept-Encoding": "gzip"}) as answer,
        ):
            assert answer.headers["Content-Encoding"] == "gzip"
            return await answer.read()

    pages = [
        await asyncio.to_thread(curl),
        await asyncio.to_thread(curl, "--compressed"),
        gzip.decompress(await by_aiohttp(inflate=False)),
        await by_aiohttp(),
    ]
    for page in pages:
        lines = [line for line in page.splitlines() if SCRAPES.name.encode() not in line]
        assert lines == [
            line for line in world.text.splitlines() if SCRAPES.name.encode() not in line
        ]


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_both_formats_come_with_type_length_and_end(world: World, encoding: str) -> None:
    async with aiohttp.ClientSession(headers={"Accept-Encoding": encoding}) as session:
        async with session.get(world.url, headers={"Accept": OPENMETRICS}) as answer:
            page = await answer.text()
            assert answer.headers["Content-Type"] == (
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            )
            assert answer.headers["Vary"] == "Accept, Accept-Encoding"
            assert page.endswith("\n# EOF\n")
            assert "# TYPE kpi_requests counter\n" in page
        async with session.get(world.url) as answer:
            page = await answer.text()
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert "# TYPE kpi_requests_total counter\n" in page
        async with session.head(world.url) as answer:
            assert int(answer.headers["Content-Length"]) > 10_000
            assert await answer.read() == b""


async def test_one_collector_can_be_scraped_alone_and_one_that_is_not_there_is_told(
    world: World,
) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(world.url, params={"collect[]": "apps"}) as answer:
            page = await answer.text()
            assert 'pod="app"' in page
            assert "pod-1" not in page
        async with session.get(world.url, params={"collect[]": "aps"}) as answer:
            assert answer.status == 400
            assert "no collector aps is enabled; there are: apps, pods" in await answer.text()


@contextmanager
def slow_client(world: World, timeout: str = "") -> Iterator[socket.socket]:
    """Ask for a page that no kernel's buffer holds, and do not read it."""
    for number in range(100):
        world.apps.put(str(number), [Sample(GAUGE, (f"big-{number}", "x" * 100_000), 1)])
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((world.server.host, world.server.port))
        client.sendall(f"GET /metrics HTTP/1.1\r\nHost: x\r\n{timeout}\r\n".encode())
        yield client


async def test_who_does_not_read_is_hung_up_on_and_delays_nobody(world: World) -> None:
    async def under_way() -> bool:
        return world.scrapes.under_way == 1

    async def hung_up() -> bool:
        return world.failures("slow") == 1

    with slow_client(world, f"{TIMEOUT_HEADER}: 1.5\r\n"):
        await wait_until(under_way, 5, "the slow one is being answered")
        async with aiohttp.ClientSession() as session, session.get(world.url) as answer:
            assert answer.status == 200
            await answer.read()
        assert world.scrapes.under_way == 1
        await wait_until(hung_up, 5, "the slow one is hung up on")
        assert world.scrapes.under_way == 0


async def test_too_many_at_once_are_told_to_come_again() -> None:
    async with served(max_requests=1) as world:

        async def under_way() -> bool:
            return world.scrapes.under_way == 1

        async def left() -> bool:
            return world.scrapes.under_way == 0

        with slow_client(world):
            await wait_until(under_way, 5, "the slow one is being answered")
            async with aiohttp.ClientSession() as session, session.get(world.url) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert world.failures("busy") == 1
        await wait_until(left, 5, "the slow one has gone")
