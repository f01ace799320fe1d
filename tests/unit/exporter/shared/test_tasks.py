import asyncio
import os
import signal
from datetime import timedelta

from exporter.shared.tasks import stop_signal, teardown


async def test_what_was_opened_last_is_closed_first_though_one_fails_and_one_hangs() -> None:
    closed: list[str] = []

    async def note(name: str) -> None:
        closed.append(name)

    async def fail() -> None:
        raise RuntimeError("no")

    async with teardown() as closing:
        closing.add("first", lambda: note("first"))
        closing.add("broken", fail)
        closing.add("hanging", asyncio.Event().wait, within=timedelta(milliseconds=10))
        closing.add("last", lambda: note("last"))
    assert closed == ["last", "first"]


async def test_sigterm_asks_to_stop() -> None:
    async with stop_signal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)
