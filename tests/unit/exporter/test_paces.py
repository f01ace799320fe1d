"""Somebody who waits for the morning check does not wait for what takes hours."""

import asyncio
from datetime import timedelta

import pytest

from exporter.contract import Collected, PolledSource
from exporter.exposition.store import FragmentStore
from exporter.schedule import FAMILIES, Schedule
from exporter.shared.tasks import cancel
from exporter.sources import is_slow
from tests.fake_clients import FakeClock


async def hang() -> Collected:
    await asyncio.Event().wait()
    return Collected()


async def nothing() -> Collected:
    return Collected()


def every(interval: timedelta) -> PolledSource:
    return PolledSource("source", interval, interval, nothing)


@pytest.mark.parametrize(("minutes", "slow"), [(0.25, False), (1, False), (5, True), (360, True)])
def test_a_source_that_is_asked_less_than_once_a_minute_is_slow(
    minutes: float, *, slow: bool
) -> None:
    assert is_slow(every(timedelta(minutes=minutes))) is slow


async def test_passes_are_counted_without_the_slow_sources() -> None:
    clock = FakeClock()
    schedule = Schedule(FragmentStore(FAMILIES, max_series=100), clock, {})
    second, hour = timedelta(seconds=10), timedelta(hours=1)
    schedule.add("quick", (), [PolledSource("a", second, second, nothing)])
    schedule.add("slow", (), [PolledSource("b", hour, hour, hang)])
    running = asyncio.create_task(schedule.run())
    seen = []
    for _ in range(2):
        for _ in range(50):
            await asyncio.sleep(0)
        seen.append(schedule.passes)
        clock.advance(10)
    await cancel(running)
    assert seen == [1, 2]
