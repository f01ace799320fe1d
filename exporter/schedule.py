"""Runs every source as a task of its own, apart from scrapes and from each other."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import TypeAlias

from exporter import sources
from exporter.changes import Changes, Wanted, let_go
from exporter.contract import (
    Metric,
    PolledSource,
    Publisher,
    Reading,
    Sample,
    Source,
    StreamedSource,
)
from exporter.exposition.fragments import Fragments
from exporter.exposition.store import FragmentStore
from exporter.readings import FAMILIES as READING_FAMILIES
from exporter.readings import reading_samples
from exporter.shard import ALONE, Shard
from exporter.shared.clock import Clock
from exporter.shared.errors import RunbookdError, TransientError
from exporter.shared.log import get_log
from exporter.shared.tasks import cancel
from exporter.sources import SourceState

FAMILIES: tuple[Metric, ...] = (*READING_FAMILIES, *sources.FAMILIES)
"""What the schedule publishes beside the collectors' own metrics."""

LONGEST_WAIT = 4
"""Intervals that a failing source waits at most before it is tried again."""

STREAM_RESTART = timedelta(seconds=30)
"""Longest wait before a stream that ended is started again."""

Own: TypeAlias = dict[str, Fragments]

_log = get_log(__name__)


class Schedule:
    """All sources: their tasks, their records, and what they published."""

    def __init__(
        self,
        store: FragmentStore,
        clock: Clock,
        targets: Mapping[str, float],
        *,
        shard: Shard = ALONE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Make an empty schedule.

        `targets` are the KPIs' bounds, `shard` says what is published here, and `jitter` returns
        numbers from 0 to 1.
        """
        self.states: list[SourceState] = []
        self._store = store
        self._clock = clock
        self._targets = targets
        self._shard = shard
        self._jitter = jitter
        self._own: Own = {}
        """By collector, so that a scrape of one collector shows its sources' own series."""
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[SourceState, asyncio.Task[None]] = {}

    def add(self, collector: str, metrics: Sequence[Metric], found: Iterable[Source]) -> None:
        """Take the sources of a collector in, but for polled ones that another shard runs.

        Raises RunbookdError when two have one name.
        """
        wanted = [Wanted(collector, tuple(metrics), source) for source in found]
        self.check([*(state.name for state in self.states), *(one.name for one in wanted)])
        for one in self._here(wanted):
            self._start(one)

    def check(self, names: Iterable[str]) -> None:
        """Raise RunbookdError when two sources have one name."""
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise RunbookdError(f"two sources are called {', '.join(twice)}")

    async def follow(self, wanted: Sequence[Wanted], targets: Mapping[str, float]) -> Changes:
        """Run these sources and no others, with these bounds of the KPIs.

        One that is made of other things than before starts anew, and what it published stays until
        it has published again.
        """
        self.check(one.name for one in wanted)
        self._targets = targets
        here = {one.name: one for one in self._here(wanted)}
        running = {state.name: state for state in self.states}
        gone = [state for name, state in running.items() if name not in here]
        changed = [
            state
            for name, state in running.items()
            if name in here and not self._is_as(here[name], state)
        ]
        ended = [self._tasks.pop(state) for state in (*gone, *changed) if state in self._tasks]
        await cancel(*ended)
        for state in (*gone, *changed):
            await let_go(state.source)
        for state in gone:
            self._forget(state)
        for state in changed:
            self._change(state, here[state.name])
        new = [one for name, one in here.items() if name not in running]
        for one in new:
            self._start(one)
        return Changes(
            tuple(one.name for one in new),
            tuple(state.name for state in changed),
            tuple(state.name for state in gone),
        )

    async def run(self) -> None:
        """Run all sources until cancelled. Raises when a bug of the schedule ends one of them."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for state in self.states:
                self._run(state)
            await asyncio.Event().wait()

    @property
    def passes(self) -> int:
        """Return how many passes each polled source has ended well at least, slow ones apart.

        A stream knows all it can once it has answered.
        """
        awaited = [state for state in self.states if not sources.is_slow(state.source)]
        good = (
            state.ended - sum(state.failures.values())
            for state in awaited
            if isinstance(state.source, PolledSource)
        )
        return min(good, default=2) if all(state.ended for state in awaited) else 0

    def refresh(self) -> Iterator[None]:
        """Drop what is too old and bring the sources' own series up to date, source by source."""
        for state in list(self.states):
            if not state.streaming and state.left(self._clock.monotonic()) <= timedelta(0):
                self._expire(state)
            self._own[state.collector].put(state.name, state.samples())
            yield

    def missing(self) -> dict[str, str]:
        """Return the sources whose first attempt has not ended yet, with what is awaited."""
        return {
            state.name: "the first pass has not ended"
            if isinstance(state.source, PolledSource)
            else "the first listing is not complete"
            for state in self.states
            if not state.ended
        }

    def shown(self, topic: str) -> list[Mapping[str, object]]:
        """Return the rows that the sources show on a topic."""
        return [row for state in self.states for row in state.shown.get(topic, ())]

    def _here(self, wanted: Iterable[Wanted]) -> Iterator[Wanted]:
        """Leave out what another shard runs."""
        for one in wanted:
            if isinstance(one.source, StreamedSource) or self._shard.owns(one.name):
                yield one

    def _is_as(self, wanted: Wanted, state: SourceState) -> bool:
        return (wanted.made_of, wanted.metrics) == (state.made_of, state.metrics)

    def _start(self, wanted: Wanted) -> None:
        fragments = self._open(wanted)
        state = SourceState(
            wanted.collector,
            wanted.source,
            fragments,
            self._clock.monotonic(),
            wanted.made_of,
            wanted.metrics,
        )
        self.states.append(state)
        self._run(state)

    def _change(self, state: SourceState, wanted: Wanted) -> None:
        """Let a source go on as another of its name; its record and its series stay."""
        if state.metrics != wanted.metrics or type(state.source) is not type(wanted.source):
            state.fragments.close()
            state.fragments = self._open(wanted)
        state.source, state.made_of, state.metrics = wanted.source, wanted.made_of, wanted.metrics
        self._run(state)

    def _forget(self, state: SourceState) -> None:
        state.fragments.close()
        self._own[state.collector].delete(state.name)
        self.states.remove(state)

    def _open(self, wanted: Wanted) -> Fragments:
        collector = wanted.collector
        if collector not in self._own:
            own = self._store.open(sources.FAMILIES, collector=collector, budgeted=False)
            self._own[collector] = own
        return self._store.open((*wanted.metrics, *READING_FAMILIES), collector=collector)

    def _run(self, state: SourceState) -> None:
        """Start the source's task, if the schedule runs by now."""
        if self._group is None:
            return
        source = state.source
        work = (
            self._poll(state, source)
            if isinstance(source, PolledSource)
            else self._follow(state, source)
        )
        self._tasks[state] = self._group.create_task(work, name=f"source {state.name}")

    async def _poll(self, state: SourceState, source: PolledSource) -> None:
        """Ask the source again and again; a failing one less often."""
        while True:
            began = self._clock.monotonic()
            state.attempts += 1
            asked_to_wait = timedelta(0)
            try:
                async with asyncio.timeout(source.timeout.total_seconds()):
                    collected = await source.collect()
                found = self._samples(collected.samples, collected.readings)
                state.fragments.put("", found)
                self._succeeded(state)
            except (Exception, asyncio.CancelledError) as error:
                if _is_cancelled():
                    raise
                self._failed(state, error)
                if isinstance(error, TransientError):
                    asked_to_wait = error.retry_after or asked_to_wait
            took = timedelta(seconds=self._clock.monotonic() - began)
            state.duration = took.total_seconds()
            back_off = self._back_off(state, source.interval, LONGEST_WAIT * source.interval)
            await self._clock.sleep(max(source.interval - took, back_off, asked_to_wait))

    async def _follow(self, state: SourceState, source: StreamedSource) -> None:
        """Run the stream; start it again when it ends, fails, or is silent for too long."""
        longest = min(STREAM_RESTART, source.stale_after / 2)
        while True:
            state.attempts += 1
            if state.left(self._clock.monotonic()) <= timedelta(0):
                self._expire(state)
            if not state.fragments.series:  # else the age of what is shown still counts
                state.since = self._clock.monotonic()
            state.streaming = True
            run = asyncio.create_task(
                _ended(source.run(self._publisher(state))), name=f"stream {state.name}"
            )
            watch = asyncio.create_task(self._expiry(state), name=f"expiry {state.name}")
            try:
                await asyncio.wait({run, watch}, return_when=asyncio.FIRST_COMPLETED)
                self._failed(state, _why_over(run))
            finally:
                state.streaming = False
                await cancel(run, watch)
            await self._clock.sleep(self._back_off(state, longest / 8, longest))

    async def _expiry(self, state: SourceState) -> None:
        """Return when the stream was silent for too long, having dropped what it published."""
        while (left := state.left(self._clock.monotonic())) > timedelta(0):
            await self._clock.sleep(left)
        self._expire(state)

    def _publisher(self, state: SourceState) -> Publisher:
        def failed(reason: str) -> None:
            if state.failed(reason, reason):
                _log.warning("source fails", source=state.name, reason=reason)

        return _Publisher(
            state,
            self._samples,
            owns=self._shard.owns,
            alive=lambda: self._succeeded(state),
            failed=failed,
        )

    def _expire(self, state: SourceState) -> None:
        if state.fragments.series:
            _log.warning(
                "series dropped: too old",
                source=state.name,
                series=state.fragments.series,
                older_than_seconds=state.expires_after.total_seconds(),
            )
        state.fragments.clear()
        state.shown.clear()

    def _back_off(self, state: SourceState, first: timedelta, longest: timedelta) -> timedelta:
        """Return a wait between nothing and twice the last bound (full jitter), within `longest`.

        Without a failure there is none.
        """
        if not state.in_a_row:
            return timedelta(0)
        doubled = first * 2.0 ** min(state.in_a_row, 16)
        return self._jitter() * min(doubled, longest)

    def _samples(self, samples: Iterable[Sample], readings: Iterable[Reading]) -> Iterable[Sample]:
        return chain(samples, reading_samples(readings, self._targets))

    def _succeeded(self, state: SourceState) -> None:
        if state.succeeded(self._clock.now(), self._clock.monotonic()):
            _log.info("source works", source=state.name, series=state.fragments.series)

    def _failed(self, state: SourceState, error: BaseException) -> None:
        """Count a failure, and tell of it when the source worked before."""
        reason, text = sources.reason_of(error), sources.told(error)
        if state.failed(reason, text):
            bug = error if reason == "bug" else None
            _log.warning("source fails", source=state.name, reason=reason, error=text, exc_info=bug)


def _is_cancelled() -> bool:
    """Say whether this task is to end; otherwise it met the cancellation of something shared."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _why_over(run: "asyncio.Task[None]") -> BaseException:
    """Return why a stream is over: what it raised, or that it was silent for too long."""
    if not run.done():
        return TimeoutError("no sign of life")
    return asyncio.CancelledError() if run.cancelled() else run.exception() or AssertionError()


async def _ended(run: Awaitable[None]) -> None:
    """Run a stream, which has no end of its own."""
    await run
    raise RunbookdError("the stream ended by itself")


class _Publisher:
    """contract.Publisher of one streamed source."""

    def __init__(
        self,
        state: SourceState,
        samples: Callable[[Iterable[Sample], Iterable[Reading]], Iterable[Sample]],
        *,
        owns: Callable[[str], bool],
        alive: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._state = state
        self._samples = samples
        self._owns = owns
        self.delete = state.fragments.delete
        self.begin = state.fragments.begin
        self.sweep = state.fragments.sweep
        self.show = state.shown.__setitem__
        self.alive = alive
        self.failed = failed

    def put(self, key: str, samples: Iterable[Sample], readings: Iterable[Reading] = ()) -> None:
        """Replace everything published under `key`, or nothing where another shard does."""
        if not self._owns(key):
            return
        self._state.fragments.put(key, self._samples(samples, readings))
