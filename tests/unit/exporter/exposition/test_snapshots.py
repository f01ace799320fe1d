"""A scrape gets the newest page that can be had in time, and others keep their turn meanwhile."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from typing_extensions import override

from exporter.contract import Sample
from exporter.exposition.page import SLOTS
from exporter.exposition.snapshots import Snapshots
from exporter.exposition.store import FragmentStore
from tests.client_exposition import GAUGE, printed
from tests.fake_clients import FakeClock

PAGES = 8
SOON = timedelta(0)
LATER = timedelta(seconds=10)


class BusyClock(FakeClock):
    """Time that passes by 3 ms with each look: two pieces of work fill a slice."""

    @override
    def monotonic(self) -> float:
        self.advance(0.003)
        return super().monotonic()


class World:
    def __init__(self) -> None:
        self.store = FragmentStore([GAUGE], max_series=100_000)
        self.source = self.store.open([GAUGE])
        self.refreshes = 0
        self.snapshots = Snapshots(self.store, BusyClock(), before=self._before)
        self.put(1)

    def put(self, value: float) -> None:
        for sample in self.samples(value):
            self.source.put(sample.labels[0], [sample])

    def samples(self, value: float) -> list[Sample]:
        return [Sample(GAUGE, (f"pod-{number}", ""), value) for number in range(PAGES * SLOTS)]

    def _before(self) -> Iterator[None]:
        self.refreshes += 1
        yield


@pytest.fixture
def world() -> World:
    return World()


async def test_scrapes_at_once_share_one_refresh_and_one_page(world: World) -> None:
    found = await asyncio.gather(*(world.snapshots.newest(LATER) for _ in range(5)))
    assert world.refreshes == 1
    assert {id(document) for document in found} == {id(world.store.latest)}
    world.put(2)
    assert (await world.snapshots.newest(LATER)).text() == printed(world.samples(2))
    assert (world.refreshes, world.snapshots.old) == (2, 0)


async def test_others_have_their_turn_during_a_refresh(world: World) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await world.snapshots.newest(LATER)
    beside.cancel()
    assert turns > PAGES / 2


async def test_who_cannot_wait_gets_the_last_whole_page(world: World) -> None:
    with pytest.raises(TimeoutError):
        await world.snapshots.newest(SOON)
    first = await world.snapshots.newest(LATER)
    world.put(2)
    assert await world.snapshots.newest(SOON) is first
    assert world.snapshots.old == 1
    assert (await world.snapshots.newest(LATER)).text() == printed(world.samples(2))


async def test_a_refresh_that_is_stopped_leaves_the_last_whole_page(world: World) -> None:
    first = await world.snapshots.newest(LATER)
    world.put(2)
    await world.snapshots.newest(SOON)
    await world.snapshots.close()
    assert world.store.latest is first
    assert world.store.document().text() == printed(world.samples(2))
