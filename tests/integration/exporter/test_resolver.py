"""Name resolution through the machine's own resolver."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from exporter.clients.resolver import SystemResolver
from exporter.shared.errors import TransientError

SOON = timedelta(seconds=5)


async def test_a_name_has_addresses() -> None:
    resolver = SystemResolver()
    assert "127.0.0.1" in await resolver.resolve("localhost", deadline=SOON)
    await resolver.close()


@pytest.mark.parametrize("name", ["a" * 300, "…" * 80])
async def test_what_cannot_be_resolved_is_an_error_that_may_pass(name: str) -> None:
    resolver = SystemResolver()
    with pytest.raises(TransientError):
        await resolver.resolve(name, deadline=SOON)
    await resolver.close()


async def test_a_late_lookup_is_not_asked_a_second_time_beside_the_first() -> None:
    resolver, held = SystemResolver(), threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
    loop.run_in_executor(None, held.wait, 5)  # the one thread has no time for a lookup
    for _ in range(2):
        with pytest.raises(TransientError, match="in time"):
            await resolver.resolve("localhost", deadline=timedelta(0))
    assert len(resolver._running) == 1
    held.set()
    assert "127.0.0.1" in await resolver.resolve("localhost", deadline=SOON)
    await resolver.close()
