import asyncio
from contextlib import suppress

import msgspec
import pytest

from exporter.watch.shared import Shared


class Thing(msgspec.Struct):
    uid: str
    value: int = 0


class Notes:
    def __init__(self, *, refuses: bool = False) -> None:
        self.told: list[str] = []
        self._refuses = refuses

    def on_object(self, obj: Thing) -> None:
        self.told.append(f"{obj.uid}={obj.value}")
        if self._refuses:
            raise ValueError("a follower's own mistake")

    def on_delete(self, uid: str) -> None:
        self.told.append(f"-{uid}")

    def begin(self) -> None:
        self.told.append("begin")

    def sweep(self) -> None:
        self.told.append("sweep")

    def alive(self) -> None:
        self.told.append("alive")

    def failed(self, reason: str) -> None:
        self.told.append(reason)

    def taken(self) -> list[str]:
        told, self.told = self.told, []
        return told


async def a_while() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_follower_is_told_all_that_is_known_then_each_change() -> None:
    shared: Shared[Thing] = Shared()
    shared.begin()
    shared.put(Thing("a"))
    shared.sweep()
    notes = Notes()
    task = asyncio.create_task(shared.follow(notes))
    await a_while()
    assert notes.taken() == ["begin", "a=0", "sweep", "alive"]
    shared.put(Thing("a", 1))
    shared.put(Thing("a", 2))
    await a_while()
    assert notes.taken() == ["a=2"]
    shared.on_delete("a")
    shared.failed("gone")
    shared.alive()
    await a_while()
    assert notes.taken() == ["-a", "gone", "alive"]
    await stop(task)


async def test_a_follower_from_before_the_first_listing_sweeps_after_it() -> None:
    shared: Shared[Thing] = Shared()
    notes = Notes()
    task = asyncio.create_task(shared.follow(notes))
    await a_while()
    shared.begin()
    shared.put(Thing("a"))
    await a_while()
    assert notes.taken() == ["begin", "a=0"]
    assert not shared.synced
    shared.sweep()
    await a_while()
    assert "sweep" in notes.taken()
    await stop(task)


async def test_a_relist_takes_away_only_what_it_does_not_hold() -> None:
    shared: Shared[Thing] = Shared()
    shared.begin()
    shared.put(Thing("a"))
    shared.put(Thing("b"))
    shared.sweep()
    notes = Notes()
    task = asyncio.create_task(shared.follow(notes))
    await a_while()
    notes.taken()
    shared.begin()
    await a_while()
    assert notes.taken() == []
    assert set(shared.objects) == {"a", "b"}
    shared.put(Thing("b", 1))
    shared.sweep()
    await a_while()
    assert sorted(notes.taken()) == ["-a", "alive", "b=1"]
    await stop(task)


async def test_a_follower_that_fails_fails_alone() -> None:
    shared: Shared[Thing] = Shared()
    bad, good = Notes(refuses=True), Notes()
    failing = asyncio.create_task(shared.follow(bad))
    going_on = asyncio.create_task(shared.follow(good))
    await a_while()
    shared.put(Thing("a"))
    await a_while()
    with pytest.raises(ValueError, match="own mistake"):
        await failing
    good.taken()
    shared.put(Thing("b"))
    await a_while()
    assert good.taken() == ["b=0"]
    await stop(going_on)


async def test_the_end_of_the_stream_ends_its_followers() -> None:
    shared: Shared[Thing] = Shared()
    task = asyncio.create_task(shared.follow(Notes()))
    await a_while()
    shared.end()
    await asyncio.wait_for(task, 1)


async def test_what_did_not_change_is_told_to_nobody_and_stays_in_a_relist() -> None:
    shared: Shared[Thing] = Shared()
    shared.begin()
    shared.put(Thing("a", 1))
    shared.sweep()
    notes = Notes()
    task = asyncio.create_task(shared.follow(notes))
    await a_while()
    notes.taken()
    shared.put(Thing("a", 1))
    await a_while()
    assert notes.taken() == []
    shared.begin()
    shared.put(Thing("a", 1))
    shared.sweep()
    await a_while()
    assert notes.taken() == ["alive"]
    assert set(shared.objects) == {"a"}
    await stop(task)
