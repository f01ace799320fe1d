import asyncio
import os
import signal
from datetime import timedelta

import pytest

from exporter.shared.tasks import cancel_on_exit, stop_signal, teardown


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


async def test_work_beside_a_block_ends_with_it() -> None:
    async with cancel_on_exit(asyncio.Event().wait(), name="forever") as task:
        await asyncio.sleep(0)
    assert task.cancelled()


async def test_an_error_of_the_work_is_not_lost() -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        async with cancel_on_exit(fail(), name="failing"):
            await asyncio.sleep(0)


async def test_sigterm_asks_to_stop() -> None:
    async with stop_signal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 5)
