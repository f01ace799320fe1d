"""Child processes that never outlive their owner, and waiting that is bounded."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from exporter.shared.clock import Clock, SystemClock

T = TypeVar("T")

POLL_SECONDS = 0.02
STOP_SECONDS = 5.0
START_SECONDS = 15.0  # a loaded two-core machine; alone, each part is ready within a second
TAIL_LINES = 20

BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Lets programs keep it, as an installation has it: compiling all anew doubles a start's time."""

# The kernel sends the death signal only to a child that asked while its owner lived. The shell's
# $PPID tells whether it did, so that no child slips through between fork and asking.
_STILL_OWNED = '[ "$PPID" = "$0" ] && exec "$@"'


class BedError(Exception):
    """A part of the bed is missing, did not start, or died."""


def program(*names: str, package: str) -> str:
    """Return the path of the first program found; raises BedError naming Debian's package."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"  # where Debian keeps pgbouncer
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise BedError(f"{names[0]} is missing: run `make setup` as root, or install {package}")


def run_tool(
    tool: str,
    *args: str | Path,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Run a command-line tool to its end; whatever it says or returns is no error here.

    `env` is added to this process' own.
    """
    return subprocess.run(
        [tool, *map(str, args)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, **BYTECODE, **(env or {})},
        cwd=cwd,
    )


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


async def wait_until(
    condition: Callable[[], Awaitable[T]],
    timeout_s: float,
    what: str,
    clock: Clock | None = None,
) -> T:
    """Ask `condition` again and again until its answer is true, and return that answer.

    Raises TimeoutError with `what` and the last answer. What the condition raises is not caught.
    """
    clock = clock or SystemClock()
    deadline = clock.monotonic() + timeout_s
    while not (answer := await condition()):
        if clock.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:g} s: {what}; last seen: {answer!r}")
        await asyncio.sleep(POLL_SECONDS)
    return answer


class Process:
    """A running child in a process group of its own.

    It may be stopped from another event loop than the one that started it.
    """

    def __init__(self, child: subprocess.Popen[bytes], name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._child = child

    @classmethod
    async def start(  # noqa: PLR0913 - a process has that many sides; all but the command by name
        cls,
        argv: Sequence[str | Path],
        *,
        log: Path,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        ready: Callable[[], Awaitable[bool]] | None = None,
        death_signal: str = "KILL",
    ) -> Self:
        """Start a program, its output appended to `log`, and wait until it is ready.

        `env` is added to this process' own. `user` is whom a root owner drops to.
        `death_signal` is what the child gets when its owner dies, by whatever means.
        Raises BedError with the log's tail when it ends, or is not ready, within START_SECONDS.
        """
        become = (f"--reuid={user}", f"--regid={user}", "--init-groups") if user else ()
        leash = ["setpriv", *become, "--pdeathsig", death_signal, "--"]
        shell = ["/bin/sh", "-c", _STILL_OWNED, str(os.getpid())]
        with log.open("ab") as output:
            child = _spawn([*leash, *shell, *map(str, argv)], output.fileno(), env, cwd)
        process = cls(child, name, log)
        if ready is not None:
            try:
                await process._until_ready(ready)
            except BaseException:
                await process.stop()
                raise
        return process

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The child's process id, which is also its group's."""
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by that signal); None while it runs."""
        return self._child.poll()

    def tail(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child alone; nothing happens when it has ended."""
        self._child.send_signal(number)

    def kill(self) -> None:
        """Kill the whole group at once, as a crash or the kernel would."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    async def wait(self, timeout_s: float) -> int:
        """Return the exit code; raises TimeoutError."""
        await wait_until(self._ended, timeout_s, f"{self.name} ends")
        return self._child.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, then kill what is left of its group; returns the exit code."""
        self.send(number)
        try:
            await wait_until(self._ended, STOP_SECONDS, f"{self.name} ends")
        except TimeoutError:
            pass  # it had its time
        finally:
            self.kill()  # a cancelled stop must leave nothing behind either
        return await self.wait(STOP_SECONDS)

    async def _ended(self) -> bool:
        return self.exit_code is not None

    async def _until_ready(self, ready: Callable[[], Awaitable[bool]]) -> None:
        async def settled() -> bool:
            return self.exit_code is not None or await ready()

        try:
            await wait_until(settled, START_SECONDS, f"{self.name} is ready")
        except TimeoutError as error:
            raise BedError(f"{error}; its log ends:\n{self.tail()}") from None
        if self.exit_code is not None:
            raise BedError(f"{self.name} ended with {self.exit_code}; its log:\n{self.tail()}")


def _spawn(
    argv: Sequence[str], output: int, env: Mapping[str, str] | None, cwd: Path | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env={**os.environ, **BYTECODE, **(env or {})},
        cwd=cwd,
        start_new_session=True,
    )
