"""Tasks with an owner, and a teardown that takes things down in reverse, by name."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta

from exporter.shared.log import get_log

_log = get_log(__name__)


class Teardown:
    """What to close at the end: last opened, first closed, each by name and within a bound."""

    def __init__(self) -> None:
        self._closers: list[tuple[str, Callable[[], Awaitable[object]], timedelta]] = []

    def add(
        self,
        name: str,
        close: Callable[[], Awaitable[object]],
        *,
        within: timedelta = timedelta(seconds=5),
    ) -> None:
        """Remember to `await close()`; what takes longer than `within` is cancelled and logged."""
        self._closers.append((name, close, within))

    async def run(self) -> None:
        """Close everything; a failure is logged and does not keep the rest open."""
        while self._closers:
            name, close, within = self._closers.pop()
            try:
                async with asyncio.timeout(within.total_seconds()):
                    await close()
            except TimeoutError:
                _log.warning("teardown took too long", part=name, seconds=within.total_seconds())
            except Exception:  # noqa: BLE001 - the rest must be closed whatever one part does
                _log.exception("teardown failed", part=name)


@asynccontextmanager
async def teardown() -> AsyncIterator[Teardown]:
    """Hold a Teardown that runs when the block ends, however it ends."""
    closing = Teardown()
    try:
        yield closing
    finally:
        await closing.run()


async def cancel(*tasks: "asyncio.Task[object]") -> None:
    """Cancel tasks and wait until they have ended; what they raise is dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def stop_signal() -> AsyncIterator[asyncio.Event]:
    """Hold an event that SIGTERM or SIGINT sets; their former handling comes back after."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
            stack.callback(loop.remove_signal_handler, number)
        yield stop


@contextmanager
def on_signal(number: signal.Signals, act: Callable[[], object]) -> Iterator[None]:
    """Call `act` in the loop at each such signal while the block runs."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
