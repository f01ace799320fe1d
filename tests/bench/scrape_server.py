"""`python -m tests.bench.scrape_server FOLDER --pods N`: an exporter of N pods, and its peer.

/metrics is ours, /client that of prometheus_client's Collector and aiohttp handler over the same
samples. POST /change, /relist and /expire do what a watch would; GET /state says what it cost.
Writes the port it listens on to FOLDER/port and ends on SIGTERM.
"""

import argparse
import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from time import process_time, thread_time

from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from typing_extensions import override

from exporter.exposition.deflate import Deflater
from exporter.exposition.scrape import Scrapes
from exporter.exposition.snapshots import Breather, Snapshots
from exporter.exposition.store import FragmentStore
from exporter.shared.clock import SystemClock
from exporter.shared.http import Server
from tests.bench.measuring import peak_rss_mb, rss_mb
from tests.bench.pod_samples import METRICS, labels_of, samples_of

BEAT = timedelta(milliseconds=1)


class Heart:
    """Notes the longest CPU time between two beats of the loop: how long others would wait.

    CPU time of this thread, for on a shared machine the wall clock tells of the neighbours.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def beat(self) -> None:
        """Beat until cancelled."""
        while True:
            began = thread_time()
            await asyncio.sleep(BEAT.total_seconds())
            self.longest = max(self.longest, thread_time() - began)


class Peer(Collector):
    """The same pods as the client library would collect them."""

    def __init__(self, pods: Iterable[tuple[str, ...]]) -> None:
        samples = [sample for pod in pods for sample in samples_of(pod)]
        self._samples = {
            metric: [sample for sample in samples if sample.metric is metric] for metric in METRICS
        }

    @override
    def collect(self) -> Iterator[Family]:
        for metric in METRICS:
            counter = metric.kind == "counter"
            made = CounterMetricFamily if counter else GaugeMetricFamily
            family = made(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
            for sample in self._samples[metric]:
                family.add_metric(sample.labels, sample.value)
            yield family


class World:
    """The pods, and what is asked of them."""

    def __init__(self, pods: int, *, fast: bool) -> None:
        self.clock = SystemClock()
        self.store = FragmentStore(METRICS, max_series=10_000_000, deflater=Deflater(fast=fast))
        self.fragments = self.store.open(METRICS, collector="pods")
        self.pods = [labels_of(number) for number in range(pods)]
        self.snapshots = Snapshots(self.store, self.clock, before=lambda: iter(()))
        self.scrapes = Scrapes(self.snapshots, self.clock, lambda: {"pods"}, 40)
        self.heart = Heart()
        self.version = 0

    async def change(self, count: int) -> None:
        """Let pods change that are spread over all pages."""
        self.version += 1
        step = max(1, len(self.pods) // count)
        await self._put(range(0, len(self.pods), step)[:count])

    async def relist(self) -> None:
        """See every pod anew, and drop none."""
        self.fragments.begin()
        await self._put(range(len(self.pods)))
        self.fragments.sweep()

    async def expire(self) -> None:
        """Drop all, as an outage does."""
        self.fragments.clear()

    def state(self) -> dict[str, float]:
        """Return the figures, the longest hold since they were asked for last."""
        longest, self.heart.longest = self.heart.longest, 0.0
        return {
            "cpu_ms": process_time() * 1000,
            "longest_hold_ms": longest * 1000,
            "rss_mb": rss_mb(),
            "peak_rss_mb": peak_rss_mb(),
            "series": self.fragments.series,
        }

    async def _put(self, numbers: Iterable[int]) -> None:
        breather = Breather(self.clock)
        for number in numbers:
            self.fragments.put(str(number), samples_of(self.pods[number], self.version))
            await breather.breathe()


def routes(world: World, peer: Peer | None) -> list[web.RouteDef]:
    """Return what can be asked."""

    def doing(
        work: Callable[[web.Request], Awaitable[None]],
    ) -> Callable[..., Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            await work(request)
            return web.Response(text="done")

        return handler

    async def state(_request: web.Request) -> web.Response:
        return web.json_response(world.state())

    asked = [
        web.get("/metrics", world.scrapes.handle),
        web.get("/state", state),
        web.post("/change", doing(lambda request: world.change(int(request.query["count"])))),
        web.post("/relist", doing(lambda _: world.relist())),
        web.post("/expire", doing(lambda _: world.expire())),
    ]
    if peer is not None:
        asked.append(web.get("/client", make_aiohttp_handler(peer)))
    return asked


async def serve(folder: Path, world: World, *, peer: bool) -> None:
    """Put all pods and serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    beating = asyncio.create_task(world.heart.beat())
    await world.relist()
    app = web.Application()
    app.add_routes(routes(world, Peer(world.pods) if peer else None))
    server = await Server.start(app, "127.0.0.1", 0)
    (folder / "port").write_text(str(server.port))
    await stop.wait()
    beating.cancel()
    await server.close()
    await world.snapshots.close()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="the exporter of the scrape bench")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pods", type=int, required=True)
    parser.add_argument("--peer", action="store_true", help="serve /client too")
    parser.add_argument("--zlib", action="store_true", help="do without ISA-L")
    args = parser.parse_args()
    world = World(args.pods, fast=not args.zlib)
    asyncio.run(serve(args.folder, world, peer=args.peer))


if __name__ == "__main__":
    main()
