"""10,000 pods listed and watched, from the API server's bytes to pages, beside the models."""

import asyncio
import gc
import importlib
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from types import ModuleType
from typing import TypeVar

from exporter.shared.kube_client import load_library
from tests.bed.process import wait_until
from tests.bench.many_pods import WITHIN, Blocks, Server, exporter, server, until
from tests.bench.measuring import forget_peak, peak_rss_mb, rss_mb
from tests.bench.row import Row

PODS = 10_000
PEER_PODS = 2_000
"""Enough for the peers, which need 3 ms a pod; compared is what one pod or event takes."""

ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Ours:
    """What the exporter needed."""

    sync_us: float
    """CPU time a pod."""
    sync_block_ms: float
    base_mb: float
    """Resident before the first pod, everything imported."""
    steady_mb: float
    peak_mb: float
    series: int
    event_us: float
    """CPU time an event."""
    event_block_ms: float


@dataclass(frozen=True, slots=True)
class Peer:
    """What kubernetes_asyncio's models and Watch needed."""

    list_us: float
    event_us: float


Measured = TypeVar("Measured", Ours, Peer)


async def ours(root: Path) -> Ours:
    """List all pods, then take a change of each."""
    async with server(root, PODS) as api:
        await load_library()
        gc.collect()
        base = rss_mb()
        forget_peak()
        listing, changing = Blocks(), Blocks()
        async with exporter(api.kubeconfig) as work:
            began = process_time()
            async with listing.watched():
                await until(lambda: work.synced() and work.series() > PODS, "all pods are listed")
            sync = process_time() - began
            series, peak = work.series(), peak_rss_mb()
            gc.collect()
            steady = rss_mb()
            began = process_time()
            async with changing.watched():
                await api.order("events", count=PODS)
                await until(lambda: work.series() > series, "all changes have arrived")
            events = process_time() - began
            assert work.failures() == 0
    return Ours(
        sync_us=sync / PODS * 1e6,
        sync_block_ms=listing.longest_ms,
        base_mb=base,
        steady_mb=steady,
        peak_mb=peak,
        series=series,
        event_us=events / PODS * 1e6,
        event_block_ms=changing.longest_ms,
    )


@asynccontextmanager
async def models(api: Server) -> AsyncIterator[tuple[ModuleType, ModuleType]]:
    """Open a client as its documentation says; yields the API of core/v1 and the watch module."""
    client = importlib.import_module("kubernetes_asyncio.client")
    watch = importlib.import_module("kubernetes_asyncio.watch")
    config = importlib.import_module("kubernetes_asyncio.config")
    await config.load_kube_config(config_file=str(api.kubeconfig))
    async with client.ApiClient() as connection:
        yield client.CoreV1Api(connection), watch


async def listed_and_watched(root: Path) -> Peer:
    """List pods into models, then read changes into models."""
    async with server(root, PEER_PODS) as api, models(api) as (core, watch):
        began = process_time()
        found = await core.list_pod_for_all_namespaces()
        listing = process_time() - began
        assert len(found.items) == PEER_PODS
        del found
        gc.collect()
        seen, began = 0, process_time()
        async with watch.Watch() as changes:
            stream = changes.stream(core.list_pod_for_all_namespaces, resource_version="10")
            order = asyncio.create_task(_when_open(api))
            async for _ in stream:
                seen += 1
                if seen > PEER_PODS:
                    break
        await order
        return Peer(listing / PEER_PODS * 1e6, (process_time() - began) / PEER_PODS * 1e6)


async def _when_open(api: Server) -> None:
    async def opened() -> bool:
        return await api.order("watches") != "0"

    await wait_until(opened, WITHIN, "the watch is open")
    await api.order("events", count=PEER_PODS)


def _exporter() -> Ours:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return asyncio.run(ours(Path(folder)))


def _models() -> Peer:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return asyncio.run(listed_and_watched(Path(folder)))


def _middle(of: Sequence[Measured]) -> Measured:
    """Return the run in the middle, by the CPU time of its first figure."""
    return sorted(of, key=lambda one: astuple(one)[0])[len(of) // 2]


def measured() -> tuple[Ours, Peer]:
    """Run both in turn, so that they meet the same noise, each time in a fresh process."""
    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        runs = [
            (pool.submit(_exporter).result(), pool.submit(_models).result()) for _ in range(ROUNDS)
        ]
    return _middle([one for one, _ in runs]), _middle([one for _, one in runs])


def measure() -> Iterable[Row]:
    """Compare the exporter with the client's own models."""
    got, than = measured()
    yield Row(
        f"initial sync of {PODS:,} pods, CPU a pod",
        got.sync_us,
        "µs",
        "G5",
        peer=than.list_us,
        peer_name="V1Pod",
        at_most=1 / 15,
    )
    yield Row(
        "resident memory: most during the sync, against after it",
        got.peak_mb,
        "MB",
        "G5",
        peer=got.steady_mb,
        peer_name="after",
        at_most=1.3,
    )
    yield Row("watch events a second and core", 1e6 / got.event_us, "1/s", "G6", at_least=5000)
    yield Row(
        "the same beside the client's Watch",
        1e6 / got.event_us,
        "1/s",
        "G6",
        peer=1e6 / than.event_us,
        peer_name="Watch",
        at_least=15,
    )
    yield Row(
        f"memory of {PODS:,} pods ({got.series:,} series) above {got.base_mb:.0f} MB",
        got.steady_mb - got.base_mb,
        "MB",
        "G7",
        at_most=90,
    )
    yield Row("longest block of the loop, CPU: sync", got.sync_block_ms, "ms", "G4", at_most=50)
    yield Row("longest block of the loop, CPU: events", got.event_block_ms, "ms", "G4", at_most=50)
