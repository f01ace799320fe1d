"""Probes beside blackbox_exporter's: the same addresses, asked by both in turn over /probe.

And those of ours that need nobody to ask for them, which in the peer's place are as many scrapes.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import aiohttp

from tests.bed.peers import BlackboxExporter, values
from tests.bed.process import Process, free_port
from tests.bench.measuring import cpu_seconds_of
from tests.bench.row import Row
from tests.beside_blackbox_exporter import differences

PEER = "blackbox_exporter"
MODULE = "http_2xx"
PROBES = 300
WARM = 20
"""Probes of each before those that count."""
TARGETS = 40
"""Asked each second by ours on its own schedule."""
SECONDS = 10
ATTEMPTS = "kpi_probe_attempts_total"


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the two, and how it is asked."""

    pid: int
    probe: Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Ours:
    """Our exporter, while it runs."""

    pid: int
    session: aiohttp.ClientSession

    async def probe(self, url: str) -> str:
        """Ask it for a probe."""
        return await self.page("/probe", target=url, module=MODULE)

    async def attempts(self) -> float:
        """Return how many probes it has made on its own schedule."""
        found = values(await self.page("/metrics"))
        return sum(count for series, count in found.items() if series[0] == ATTEMPTS)

    async def page(self, path: str, **query: str) -> str:
        """Get one of its pages."""
        async with self.session.get(path, params=query) as answer:
            return await answer.text()


def measure() -> Iterable[Row]:
    """Let both probe in turn, and compare what they say."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(root: Path) -> list[Row]:
    rows: list[Row] = []
    async with _target(root) as ports:
        pairs = zip(("http", "https"), ports, strict=True)
        urls = [f"{scheme}://localhost:{port}/" for scheme, port in pairs]
        trusted = {"ca_file": str(root / "ca.pem")}
        http = {"preferred_ip_protocol": "ip4", "tls_config": trusted}
        modules = {MODULE: {"prober": "http", "http": http}}
        async with _exporter(root) as ours, BlackboxExporter.start(root, modules) as peer:

            async def asked(url: str) -> str:
                return await peer.probe(url, MODULE)

            theirs = Asked(peer.pid, asked)
            for url in urls:
                rows += await _in_turn(Asked(ours.pid, ours.probe), theirs, url)
        asked_for = [row for row in rows if row.measure.endswith("CPU")]
        rows += [await _on_schedule(root, *pair) for pair in zip(urls, asked_for, strict=True)]
    return rows


async def _on_schedule(root: Path, url: str, asked_for: Row) -> Row:
    """Return what a probe costs that ours makes by itself, what it publishes included."""
    targets = [
        {"name": f"t{number}", "url": url, "workload": f"w{number}", "interval": "1s"}
        for number in range(TARGETS)
    ]
    async with _exporter(root, targets) as ours:
        await asyncio.sleep(2)  # each has been asked once and more
        made, used = await ours.attempts(), cpu_seconds_of(ours.pid)
        await asyncio.sleep(SECONDS)
        used, made = cpu_seconds_of(ours.pid) - used, await ours.attempts() - made
    told = asked_for.measure.replace("on demand", "on our schedule")
    return Row(told, used / made * 1000, "ms", peer=asked_for.peer, peer_name=PEER)


async def _in_turn(ours: Asked, theirs: Asked, url: str) -> list[Row]:
    """Return what a probe of an address costs both, and where they differ about it."""
    for _ in range(WARM):
        await ours.probe(url)
        await theirs.probe(url)
    differing = differences(values(await ours.probe(url)), values(await theirs.probe(url)))
    before = [cpu_seconds_of(each.pid) for each in (ours, theirs)]
    walls: tuple[list[float], list[float]] = ([], [])
    for _ in range(PROBES):
        for each, taken in zip((ours, theirs), walls, strict=True):
            began = perf_counter()
            await each.probe(url)
            taken.append(perf_counter() - began)
    cpu, their_cpu = (
        (cpu_seconds_of(each.pid) - then) / PROBES * 1000
        for each, then in zip((ours, theirs), before, strict=True)
    )
    wall, their_wall = (median(of_one) * 1000 for of_one in walls)
    told = f"probe of {url.partition(':')[0]} on demand"
    return [
        Row(f"{told}: CPU", cpu, "ms", peer=their_cpu, peer_name=PEER),
        Row(f"{told}: wall", wall, "ms", peer=their_wall, peer_name=PEER),
        Row(f"{told}: answers that differ", len(differing), "", at_most=0),
    ]


@asynccontextmanager
async def _target(root: Path) -> AsyncIterator[list[str]]:
    """Run what is probed; yields its ports, plain and by TLS."""
    ports = root / "ports"

    async def ready() -> bool:
        return ports.exists()

    argv = [sys.executable, "-m", "tests.bench.probe_target", str(root)]
    log = root / "target.log"
    async with await Process.start(argv, log=log, name="target", ready=ready):
        yield ports.read_text().split()


@asynccontextmanager
async def _exporter(root: Path, targets: Sequence[Mapping[str, str]] = ()) -> AsyncIterator[Ours]:
    """Run ours, which may ask this machine, and asks `targets` by itself."""
    port = free_port()
    module = {"ip_protocol": "ipv4", "tls": {"ca_file": str(root / "ca.pem")}}
    allowed = {"hosts": ["localhost"], "networks": ["127.0.0.0/8"]}
    probes = {"modules": {MODULE: module}, "targets": targets, "on_demand": allowed}
    config = root / "exporter.yaml"
    config.write_text(
        json.dumps(  # which is YAML, too
            {
                "listen": {"address": "127.0.0.1", "port": port},
                "collectors": {"http_probe": probes},
            }
        )
    )
    argv = [sys.executable, "-m", "exporter", "serve", "--config", str(config)]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def ready() -> bool:
            try:
                async with session.get("/readyz") as answer:
                    return answer.ok
            except aiohttp.ClientError:
                return False

        log = root / "exporter.log"
        async with await Process.start(argv, log=log, name="exporter", ready=ready) as process:
            yield Ours(process.pid, session)
