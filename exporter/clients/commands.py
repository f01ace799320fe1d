"""Runs other people's programs: in a process group of their own, bounded in time and output."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from exporter.command_port import Finished
from exporter.shared.errors import PermanentError, TransientError

GRACE = timedelta(seconds=5)
"""Time between asking a program to end and ending it."""

CHUNK = 64 * 1024


class CommandRunner:
    """command_port.Commands over asyncio's subprocesses.

    One program at a time, whoever asks: they are large, and none of them is urgent.
    """

    def __init__(self, *, grace: timedelta = GRACE) -> None:
        self._alone = asyncio.Lock()
        self._grace = grace

    async def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        deadline: timedelta,
        max_bytes: int,
    ) -> Finished:
        """Run `argv` to its end. Raises as the port says; no message holds what it wrote."""
        name = Path(argv[0]).name
        async with self._alone:
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    cwd=folder,
                    env=dict(environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                raise PermanentError(f"{name} cannot be started: {error.strerror}") from error
            try:
                async with asyncio.timeout(deadline.total_seconds()):
                    written = await _output(process, max_bytes, name)
                    code = await process.wait()
            except TimeoutError as error:
                raise TransientError(f"{name} took longer than {deadline}") from error
            finally:
                await _end(process, self._grace)
        return Finished(code, written.splitlines())


async def _output(process: asyncio.subprocess.Process, max_bytes: int, name: str) -> bytes:
    """Return all of standard output, up to its bound."""
    written = bytearray()
    if process.stdout is not None:
        while chunk := await process.stdout.read(CHUNK):
            written += chunk
            if len(written) > max_bytes:
                raise PermanentError(f"{name} said more than {max_bytes} bytes")
    return bytes(written)


async def _end(process: asyncio.subprocess.Process, grace: timedelta) -> None:
    """End what still runs of the group: asked first where the program itself does, then made to."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        await _ended(process, grace)
    _signal(process, signal.SIGKILL)
    await _ended(process, grace)


async def _ended(process: asyncio.subprocess.Process, within: timedelta) -> None:
    """Wait until the program is over and nobody holds its output open; what it says is dropped."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within.total_seconds()):
            while process.stdout is not None and await process.stdout.read(CHUNK):
                pass
            await process.wait()


def _signal(process: asyncio.subprocess.Process, sign: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, sign)
