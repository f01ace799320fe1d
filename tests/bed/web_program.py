"""A real program that is spoken to by HTTP on loopback."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import aiohttp

from tests.bed.process import Process, free_port

HOST = "127.0.0.1"
REQUEST_SECONDS = 10.0


class WebProgram:
    """Runs between enter and exit, on one port; keeps its data across a restart."""

    READY: ClassVar = "/-/ready"
    """Path that is answered well once the program is ready."""

    def __init__(
        self,
        name: str,
        argv: Callable[[int], Sequence[str | Path]],
        log: Path,
        host: str = HOST,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Hand in `argv` as a function of the port to listen on, which is one of `host`'s.

        `env` is added to this process' own.
        """
        port = free_port(host)
        self.url = f"http://{host}:{port}"
        self.session: aiohttp.ClientSession
        self._name = name
        self._argv = argv(port)
        self._log = log
        self._env = env
        self._process: Process | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        limit = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        self.session = await self._stack.enter_async_context(
            aiohttp.ClientSession(self.url, timeout=limit)
        )
        self._stack.push_async_callback(self._stop)
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def pid(self) -> int:
        """The process id of the running program."""
        assert self._process is not None
        return self._process.pid

    async def restart(self) -> None:
        """Stop it and start it again on the same port and data."""
        await self._stop()
        await self._start()

    async def stop(self) -> None:
        """Stop it; its address then refuses."""
        await self._stop()

    async def _start(self) -> None:
        self._process = await Process.start(
            self._argv, log=self._log, name=self._name, env=self._env, ready=self._ready
        )

    async def _stop(self) -> None:
        if self._process is not None:
            await self._process.stop()
            self._process = None

    async def _ready(self) -> bool:
        try:
            async with self.session.get(self.READY) as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False
