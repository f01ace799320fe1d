"""The whole exporter on an API server with many pods, for the benches that watch them."""

import asyncio
import gc
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from trustme import CA

from exporter import app as composition
from exporter.running import Running
from exporter.shared.clock import SystemClock
from exporter.sources import SourceState
from tests.bed.process import Process, wait_until

WITHIN = 300.0
"""Seconds that anything may take on a busy machine."""
TICK = 0.002


@dataclass(frozen=True, slots=True)
class Server:
    """The API server, and the way to it."""

    url: str
    kubeconfig: Path
    pid: int

    async def order(self, command: str, **query: int) -> str:
        """POST one of the server's commands and return its answer."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        writer.write(
            f"POST /_{command}?{asked} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = await reader.read()
        writer.close()
        return answer.rpartition(b"\r\n")[2].decode()


@asynccontextmanager
async def server(root: Path, count: int) -> AsyncIterator[Server]:
    """Run an API server with `count` pods, as a process of its own."""
    folder = root / f"server-{count}"
    folder.mkdir()
    port = folder / "port"
    argv = [sys.executable, "-m", "tests.bench.pods_server", str(folder), str(count)]

    async def ready() -> bool:
        return port.exists() and bool(port.read_text())

    async with await Process.start(argv, log=folder / "log", name="pods", ready=ready) as process:
        url = f"http://127.0.0.1:{port.read_text()}"
        # A cluster has an authority of its own; without it the client would read all that the
        # system trusts. For a server without TLS no kubeconfig can name it.
        authority = folder / "ca.pem"
        CA().cert_pem.write_to_path(str(authority))
        os.environ["SSL_CERT_FILE"] = str(authority)
        cluster = {"server": url}
        config = {
            "current-context": "bench",
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "clusters": [{"name": "bench", "cluster": cluster}],
            "users": [{"name": "bench", "user": {"token": "none"}}],
        }
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        yield Server(url, kubeconfig, process.pid)


class Exporter:
    """The exporter with its `kubernetes` collector, and what it publishes."""

    def __init__(self, work: Running) -> None:
        self._work = work

    def page(self) -> bytes:
        """Return what a scrape would get now."""
        return self._work.document().text()

    def series(self, source: str = "pods") -> int:
        """Return how many series a source publishes."""
        return self._state(source).fragments.series

    def synced(self, source: str = "pods") -> bool:
        """Say whether a source has listed all there is."""
        return self._state(source).up

    def failures(self, source: str = "pods") -> int:
        """Return how often a source's watch had to start again."""
        return sum(self._state(source).failures.values())

    def _state(self, source: str) -> SourceState:
        (state,) = [one for one in self._work.schedule.states if one.source.name == source]
        return state


@asynccontextmanager
async def exporter(kubeconfig: Path) -> AsyncIterator[Exporter]:
    """Run the exporter on that API server."""
    specs = composition.collectors()
    settings = composition.model(specs).model_validate(
        {"kubeconfig": kubeconfig, "collectors": {"kubernetes": {}}, "max_series": 2_000_000}
    )
    async with composition.running(settings, specs, SystemClock()) as work:
        gc.collect()
        gc.freeze()  # as serve() does
        yield Exporter(work)
        gc.unfreeze()


async def until(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds, looking often."""

    async def asked() -> bool:
        return bool(holds())

    await wait_until(asked, WITHIN, what)


class Blocks:
    """The longest time that the loop was not free, in CPU time, which neighbours do not stretch."""

    def __init__(self) -> None:
        self.longest_ms = 0.0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch the loop while the block runs."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()

    async def _watch(self) -> None:
        before = process_time()
        while True:
            await asyncio.sleep(TICK)
            now = process_time()
            self.longest_ms = max(self.longest_ms, (now - before) * 1000)
            before = now
