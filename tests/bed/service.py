"""One address for several replicas, as a Kubernetes Service is for ready pods."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp

from exporter.shared.clock import SystemClock
from exporter.shared.tasks import cancel

HOST = "127.0.0.1"
PROBE_EVERY = timedelta(seconds=0.5)
PROBE_TIMEOUT = aiohttp.ClientTimeout(total=1.0)
CHUNK = 64 * 1024

T = TypeVar("T")


class Service:
    """Passes each new connection to the next replica that is ready; open ones stay where they are.

    `delay` holds back everything that replicas answer.
    """

    def __init__(self, replicas: Sequence[str]) -> None:
        self.delay = timedelta(0)
        self._replicas = replicas
        self._ready: list[str] = []
        self._turn = 0
        self._clock = SystemClock()

    @classmethod
    @asynccontextmanager
    async def start(cls, port: int, replicas: Sequence[str]) -> AsyncIterator["Service"]:
        """Listen on `port`; `replicas` are the base addresses that have `/readyz`."""
        service = cls(replicas)
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession(timeout=PROBE_TIMEOUT))
            await stack.enter_async_context(cancel_on_exit(service._watch(session), name="probes"))
            server = await asyncio.start_server(service._serve, HOST, port)
            stack.callback(server.close)
            yield service

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        while True:
            answers = await asyncio.gather(*(_answers(session, url) for url in self._replicas))
            self._ready = [url for url, ready in zip(self._replicas, answers, strict=True) if ready]
            await self._clock.sleep(PROBE_EVERY)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if (found := await self._connect()) is not None:
                there, back = found
                ways = (self._pass(reader, back), self._pass(there, writer, hold=True))
                await _either([asyncio.create_task(way) for way in ways])
                back.close()
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in range(len(self._ready)):
            self._turn += 1
            address = urlsplit(self._ready[self._turn % len(self._ready)])
            try:
                return await asyncio.open_connection(address.hostname, address.port)
            except OSError:
                continue
        return None

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, hold: bool = False
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                if hold and self.delay:
                    await self._clock.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        except OSError:
            return  # one side is gone, and the other learns it


@asynccontextmanager
async def cancel_on_exit(
    work: Coroutine[object, object, T], *, name: str
) -> AsyncIterator["asyncio.Task[T]"]:
    """Run `work` beside the block; when the block ends, `work` is cancelled and awaited.

    An error that ended `work` before is raised at the end of the block.
    """
    task = asyncio.create_task(work, name=name)
    try:
        yield task
    finally:
        failed = task.done() and not task.cancelled() and task.exception() is not None
        if not failed:
            await cancel(task)
    if failed:
        await task


async def _either(ways: "list[asyncio.Task[None]]") -> None:
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel(*ways)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
