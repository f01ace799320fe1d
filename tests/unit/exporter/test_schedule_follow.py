"""New settings reach a running schedule: what is the same is left alone, nothing has a hole."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from exporter.changes import Changes, Wanted
from exporter.contract import Collected, Metric, PolledSource, Publisher, Sample, StreamedSource
from exporter.exposition.store import FragmentStore
from exporter.schedule import FAMILIES, Schedule
from exporter.shared.errors import RunbookdError
from tests.fake_clients import FakeClock

VALUE = Metric("kpi_value", "A value.", "gauge", ("of",))
OTHER = Metric("kpi_other", "Another value.", "gauge", ("of",))


async def settle() -> None:
    """Let every task go as far as it gets without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


class Source:
    """Brings how often it was asked, until it is told to hang."""

    def __init__(self, of: str) -> None:
        self.of = of
        self.passes = 0
        self.cancelled = 0
        self.hangs = False

    async def collect(self) -> Collected:
        try:
            if self.hangs:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.passes += 1
        return Collected([Sample(VALUE, (self.of,), self.passes)])

    async def run(self, publisher: Publisher) -> None:
        publisher.begin()
        if self.hangs:
            await asyncio.Event().wait()
        publisher.put(self.of, [Sample(VALUE, (self.of,), 1)])
        publisher.sweep()
        publisher.alive()
        await asyncio.Event().wait()


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FragmentStore((VALUE, OTHER, *FAMILIES), max_series=1000)
        self.schedule = Schedule(self.store, self.clock, {}, jitter=lambda: 1.0)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.schedule.run())
        await settle()
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def follow(self, *wanted: Wanted) -> Changes:
        changes = await self.schedule.follow(wanted, {})
        await settle()
        return changes

    def page(self) -> str:
        list(self.schedule.refresh())
        return self.store.document().text().decode()

    def value(self, of: str) -> float | None:
        for line in self.page().splitlines():
            if line.startswith(f'kpi_value{{of="{of}"}}'):
                return float(line.rpartition(" ")[2])
        return None


@pytest.fixture
def world() -> World:
    return World()


def polled(source: Source, made_of: object = 1, metrics: Iterable[Metric] = (VALUE,)) -> Wanted:
    every = timedelta(seconds=10)
    made = PolledSource(source.of, every, every, source.collect)
    return Wanted("c", tuple(metrics), made, made_of)


def streamed(source: Source, made_of: object = 1) -> Wanted:
    return Wanted(
        "c", (VALUE,), StreamedSource(source.of, timedelta(minutes=1), source.run), made_of
    )


async def test_a_source_that_is_made_of_the_same_is_left_alone(world: World) -> None:
    first, again, new = Source("a"), Source("a"), Source("b")
    async with world.run():
        assert (await world.follow(polled(first))).started == ("c/a",)
        changes = await world.follow(polled(again), polled(new))
        assert changes == Changes(started=("c/b",))
        world.clock.advance(10)
        await settle()
        assert (first.passes, again.passes, new.passes) == (2, 0, 2)
        assert world.value("a") == 2


@pytest.mark.parametrize("wanted", [polled, streamed])
async def test_one_that_changed_starts_anew_and_its_series_stay_until_it_has_published(
    world: World, wanted: Callable[[Source, object], Wanted]
) -> None:
    first, second = Source("a"), Source("a")
    second.hangs = True
    async with world.run():
        await world.follow(wanted(first, 1))
        assert world.value("a") == 1
        assert (await world.follow(wanted(second, 2))).restarted == ("c/a",)
        assert world.value("a") == 1
        assert 'kpi_source_up{collector="c",source="a"} 1.0' in world.page()
        third = Source("b")
        third.of = "a"
        await world.follow(wanted(third, 3))
        assert world.value("a") == 1
        assert 'kpi_source_attempts_total{collector="c",source="a"} 3.0' in world.page()


async def test_one_that_is_gone_leaves_nothing_behind(world: World) -> None:
    gone, stays = Source("a"), Source("b")
    async with world.run():
        await world.follow(polled(gone), polled(stays))
        gone.hangs = True
        world.clock.advance(10)
        await settle()
        assert (await world.follow(polled(stays))).stopped == ("c/a",)
        assert gone.cancelled == 1
        assert '"a"' not in world.page()
        assert world.value("b") == 2
        assert world.store.ledger.share == 1000
        assert (await world.follow(polled(gone), polled(stays))).started == ("c/a",)


async def test_other_metrics_or_another_shape_take_the_old_series_away(world: World) -> None:
    first, second, third = Source("a"), Source("a"), Source("a")
    second.hangs = third.hangs = True
    async with world.run():
        await world.follow(polled(first))
        await world.follow(polled(second, metrics=(VALUE, OTHER)))
        assert world.value("a") is None
        await world.follow(polled(Source("a"), made_of=2, metrics=(VALUE, OTHER)))
        assert world.value("a") == 1
        await world.follow(streamed(third, made_of=3))
        assert world.value("a") is None


async def test_two_of_one_name_change_nothing(world: World) -> None:
    async with world.run():
        await world.follow(polled(Source("a")))
        with pytest.raises(RunbookdError, match="two sources are called c/b"):
            await world.follow(polled(Source("b")), polled(Source("b")))
        assert world.value("a") == 1
        assert world.value("b") is None
