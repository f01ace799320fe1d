import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from exporter.contract import (
    Collected,
    Metric,
    PolledSource,
    Publisher,
    Reading,
    Sample,
    Source,
    StreamedSource,
)
from exporter.exposition.store import FragmentStore
from exporter.schedule import FAMILIES, Schedule
from exporter.shared.errors import RunbookdError, TransientError
from tests.fake_clients import FakeClock

VALUE = Metric("kpi_value", "A value.", "gauge", ("of",))
SUBJECT = (("namespace", "default"), ("workload", "web"), ("workload_type", "deployment"))


async def settle() -> None:
    """Let every task go as far as it gets without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


class World:
    """A schedule on a clock that stands still, without jitter."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FragmentStore((VALUE, *FAMILIES), max_series=1000)
        targets = {"error_ratio": 0.01, "apdex": 0.85}
        self.schedule = Schedule(self.store, self.clock, targets, jitter=lambda: 1.0)

    def poll(
        self, name: str, collect: Callable[[], Awaitable[Collected]], timeout: float = 5
    ) -> None:
        source = PolledSource(name, timedelta(seconds=10), timedelta(seconds=timeout), collect)
        self.add(source)

    def stream(self, name: str, run: Callable[[Publisher], Awaitable[None]]) -> None:
        self.add(StreamedSource(name, timedelta(seconds=60), run))

    def add(self, source: Source) -> None:
        self.schedule.add("c", [VALUE], [source])

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.schedule.run())
        await settle()
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await settle()

    def lines(self) -> list[str]:
        list(self.schedule.refresh())
        text = self.store.document().text().decode()
        return [line for line in text.splitlines() if not line.startswith("#")]

    def value(self, series: str) -> float | None:
        for line in self.lines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return None

    def own(self, name: str, source: str, reason: str = "") -> float | None:
        also = f'reason="{reason}",' if reason else ""
        return self.value(f'kpi_source_{name}{{collector="c",{also}source="{source}"}}')


@pytest.fixture
def world() -> World:
    return World()


class Counting:
    """A source that brings how often it was asked, or fails."""

    def __init__(self, of: str = "a") -> None:
        self.of = of
        self.passes = 0
        self.error: BaseException | None = None

    async def collect(self) -> Collected:
        self.passes += 1
        if self.error is not None:
            raise self.error
        return Collected([Sample(VALUE, (self.of,), self.passes)])


async def hang() -> Collected:
    await asyncio.Event().wait()
    return Collected()


async def silence(_publisher: Publisher) -> None:
    await asyncio.Event().wait()


async def test_a_source_is_asked_at_its_interval(world: World) -> None:
    source = Counting()
    world.poll("s", source.collect)
    async with world.run():
        assert world.value('kpi_value{of="a"}') == 1
        await world.advance(9)
        assert source.passes == 1
        await world.advance(1)
        assert world.value('kpi_value{of="a"}') == 2
        assert world.own("up", "s") == 1
        assert world.own("attempts_total", "s") == 2
        assert world.own("interval_seconds", "s") == 10
        assert world.own("series", "s") == 1
        stamp = world.clock.now().timestamp()
        assert world.own("last_success_timestamp_seconds", "s") == stamp


async def test_a_hanging_and_a_failing_source_delay_nobody(world: World) -> None:
    failing, working = Counting(), Counting("b")
    failing.error = RuntimeError("a bug")
    world.poll("hanging", hang, timeout=3600)
    world.poll("failing", failing.collect)
    world.poll("working", working.collect)
    async with world.run():
        for _ in range(5):
            await world.advance(10)
        assert working.passes == 6
        assert world.own("up", "working") == 1
        assert world.own("up", "hanging") == 0
        assert world.own("failures_total", "failing", "bug") == failing.passes


async def test_a_pass_that_takes_too_long_is_cancelled_and_counted(world: World) -> None:
    world.poll("s", hang, timeout=0.001)
    async with world.run():
        for _ in range(100):
            await asyncio.sleep(0.001)  # the deadline runs on the loop's own clock
            if world.own("failures_total", "s", "deadline"):
                break
        assert world.own("failures_total", "s", "deadline") == 1


async def test_a_failing_source_is_asked_less_and_less_often_and_at_once_when_it_works(
    world: World,
) -> None:
    source = Counting()
    source.error = TransientError("away")
    world.poll("s", source.collect)
    asked_at = []
    async with world.run():
        for second in range(200):
            before = source.passes
            await world.advance(1)
            if source.passes > before:
                asked_at.append(second + 1)
        assert asked_at == [20, 60, 100, 140, 180]
        source.error = None
        await world.advance(30)
        assert world.own("up", "s") == 1
        passes = source.passes
        await world.advance(10)
        assert source.passes == passes + 1


async def test_a_peer_that_asks_to_wait_is_waited_for(world: World) -> None:
    source = Counting()
    source.error = TransientError("busy", retry_after=timedelta(minutes=5))
    world.poll("s", source.collect)
    async with world.run():
        await world.advance(299)
        assert source.passes == 1
        await world.advance(1)
        assert source.passes == 2


async def test_old_values_are_dropped_after_three_intervals_not_frozen(world: World) -> None:
    source = Counting()
    world.poll("s", source.collect)
    async with world.run():
        source.error = TransientError("away")
        await world.advance(29)
        assert world.value('kpi_value{of="a"}') == 1
        await world.advance(1)
        assert world.value('kpi_value{of="a"}') is None
        assert world.own("up", "s") == 0
        assert world.own("series", "s") == 0


async def test_a_shared_task_that_was_cancelled_does_not_end_the_source(world: World) -> None:
    source = Counting()
    source.error = asyncio.CancelledError()
    world.poll("s", source.collect)
    async with world.run():
        source.error = None
        await world.advance(20)
        assert world.value('kpi_value{of="a"}') == 2


async def test_only_changes_of_state_are_logged(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("INFO")
    source = Counting()
    source.error = TransientError("away")
    world.poll("s", source.collect)
    async with world.run():
        for _ in range(30):
            await world.advance(10)
        source.error = None
        for _ in range(30):
            await world.advance(10)
    printed = capsys.readouterr().out + caplog.text
    assert printed.count("source fails") == 1
    assert printed.count("source works") == 1


async def test_readings_become_the_kpi_and_whether_it_meets_its_target(world: World) -> None:
    readings = [
        Reading("error_ratio", SUBJECT, 0.02),
        Reading("apdex", SUBJECT, 0.9),
        Reading("throughput", SUBJECT, 5),
        Reading("latency_p95", SUBJECT, float("nan")),
    ]

    async def collect() -> Collected:
        return Collected(readings=readings)

    world.poll("s", collect)
    async with world.run():
        labels = 'namespace="default",workload="web",workload_type="deployment"'
        assert world.value(f"kpi_error_ratio{{{labels}}}") == 0.02
        assert world.value(f'kpi_within_target{{kpi="error_ratio",{labels}}}') == 0
        assert world.value(f'kpi_within_target{{kpi="apdex",{labels}}}') == 1
        assert world.value(f"kpi_throughput{{{labels}}}") == 5
        lines = "\n".join(world.lines())
        assert 'kpi="throughput"' not in lines
        assert "latency_p95" not in lines


@pytest.mark.parametrize(
    "reading", [Reading("happiness", SUBJECT, 1), Reading("error_ratio", SUBJECT[:1], 1)]
)
async def test_a_reading_that_is_not_in_the_catalogue_is_a_bug_and_told(
    world: World, reading: Reading
) -> None:
    async def collect() -> Collected:
        return Collected(readings=[reading])

    world.poll("s", collect)
    async with world.run():
        assert world.own("failures_total", "s", "bug") == 1


async def test_what_is_missing_is_told_until_each_source_was_tried(world: World) -> None:
    world.poll("hanging", hang)
    world.poll("working", Counting().collect)
    world.stream("stream", silence)
    async with world.run():
        assert world.schedule.missing() == {
            "c/hanging": "the first pass has not ended",
            "c/stream": "the first listing is not complete",
        }


async def test_two_sources_of_one_name_are_refused(world: World) -> None:
    world.poll("s", hang)
    with pytest.raises(RunbookdError, match="two sources are called c/s"):
        world.poll("s", hang)


class Feed:
    """A streamed source in the test's hands."""

    def __init__(self) -> None:
        self.starts = 0
        self.publisher: Publisher | None = None
        self.end: asyncio.Future[None] | None = None

    async def run(self, publisher: Publisher) -> None:
        self.starts += 1
        self.publisher = publisher
        self.end = asyncio.get_running_loop().create_future()
        publisher.begin()
        publisher.put("k", [Sample(VALUE, ("a",), self.starts)])
        publisher.sweep()
        publisher.alive()
        await self.end

    def now(self) -> Publisher:
        assert self.publisher is not None
        return self.publisher

    def fail(self, error: Exception) -> None:
        assert self.end is not None
        self.end.set_exception(error)


async def test_a_stream_that_fails_is_started_again_and_what_it_told_stays(world: World) -> None:
    feed = Feed()
    world.stream("s", feed.run)
    async with world.run():
        feed.fail(TransientError("cut"))
        await settle()
        assert world.own("up", "s") == 0
        assert world.own("failures_total", "s", "transient") == 1
        assert world.value('kpi_value{of="a"}') == 1
        await world.advance(30)
        assert feed.starts == 2
        assert world.value('kpi_value{of="a"}') == 2
        assert world.own("up", "s") == 1


async def test_a_silent_stream_is_dropped_and_started_again(world: World) -> None:
    feed = Feed()
    world.stream("s", feed.run)
    async with world.run():
        await world.advance(50)
        feed.now().alive()
        await world.advance(50)
        assert world.value('kpi_value{of="a"}') == 1
        await world.advance(10)
        assert world.value('kpi_value{of="a"}') is None
        assert world.own("failures_total", "s", "deadline") == 1
        await world.advance(30)
        assert world.value('kpi_value{of="a"}') == 2


async def test_a_stream_that_keeps_failing_does_not_keep_old_values(world: World) -> None:
    feed = Feed()

    async def once(publisher: Publisher) -> None:
        if feed.starts:
            raise TransientError("away")
        await feed.run(publisher)

    world.stream("s", once)
    async with world.run():
        feed.fail(TransientError("cut"))
        for _ in range(7):
            await world.advance(10)
        assert world.value('kpi_value{of="a"}') is None


async def test_a_failure_that_a_stream_recovers_from_is_counted_under_its_own_reason(
    world: World,
) -> None:
    feed = Feed()
    world.stream("s", feed.run)
    async with world.run():
        feed.now().failed("gone")
        assert world.own("up", "s") == 0
        assert world.own("failures_total", "s", "gone") == 1
        feed.now().alive()
        assert world.own("up", "s") == 1
        assert feed.starts == 1


async def test_the_record_of_a_source_tells_no_secret_of_a_bug(world: World) -> None:
    source = Counting()
    source.error = ValueError("postgresql://user:hunter2@host")
    world.poll("s", source.collect)
    async with world.run():
        [state] = world.schedule.states
        assert state.record()["last_error"] == "ValueError"
        assert state.record()["failures"] == {"bug": 1}


async def test_what_a_stream_shows_is_seen_until_it_is_too_old() -> None:
    world = World()
    rows = iter([[{"reason": "BackOff"}]])

    async def run(publisher: Publisher) -> None:
        for row in rows:  # only at the first start
            publisher.show("events", row)
            publisher.alive()
        await asyncio.Event().wait()

    world.stream("events", run)
    async with world.run():
        await world.advance(59)
        assert world.schedule.shown("events") == [{"reason": "BackOff"}]
        assert world.schedule.shown("nothing") == []
        await world.advance(2)
        assert world.schedule.shown("events") == []
