"""How the morning check gets to see something: a running exporter, or two passes of its own."""

import asyncio
import json
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

from exporter import app as composition
from exporter.clients.http import HttpClient
from exporter.morning.observed import Observed, Page
from exporter.schedule import Schedule
from exporter.settings import ExporterSettings
from exporter.shared.clock import SystemClock
from exporter.shared.errors import PermanentError, TransientError
from exporter.shared.tasks import cancel
from exporter.terminal import err

ResultT = TypeVar("ResultT")

Look = Callable[[], Awaitable[Observed]]
"""Sees what there is now. Raises TransientError or PermanentError when nothing can be seen."""

Progress = Callable[[str], None]
"""Is told what is waited for."""

ANSWER_WITHIN = timedelta(seconds=10)
"""Longest wait for a page of a running exporter."""

LARGEST_PAGE = 256 * 1024 * 1024
"""Bytes: several times `max_series` lines of the default."""

LAST_PASS = timedelta(seconds=10)
"""Longest wait for sources that are still at their last pass when the sample is over."""

LOOK_EVERY = timedelta(milliseconds=100)


@asynccontextmanager
async def running_exporter(address: str) -> AsyncIterator[Look]:
    """Look at the exporter whose metrics are at `address`, or at /metrics where it has no path."""
    metrics = urljoin(address, "/metrics") if urlsplit(address).path in ("", "/") else address
    http, clock = HttpClient(), SystemClock()

    async def get(path: str) -> str:
        """GET a page beside the metrics, or the metrics themselves."""
        url = urljoin(metrics, path)
        answer = await http.get(url, deadline=ANSWER_WITHIN, max_bytes=LARGEST_PAGE)
        if answer.status != 200:
            raise TransientError(f"{urlsplit(url).path} answers with status {answer.status}")
        return answer.body.decode(errors="replace")

    async def rows(path: str, name: str) -> Sequence[Mapping[str, object]] | None:
        """Return what one of the pages for people lists; the check goes on without it."""
        try:
            document = json.loads(await get(path))
        except (TransientError, PermanentError, ValueError):
            return None
        found = document.get(name) if isinstance(document, dict) else None
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else None

    async def look() -> Observed:
        page = Page(await get(""))
        sources = await rows("debug/collectors", "sources") or ()
        errors = {
            f"{row.get('collector')}/{row.get('source')}": str(row["last_error"])
            for row in sources
            if row.get("last_error")
        }
        return Observed(page, clock.now(), await rows("debug/events", "events"), errors)

    try:
        yield look
    finally:
        await http.close()


@asynccontextmanager
async def own_passes(
    settings: ExporterSettings,
    specs: composition.Specs,
    between: timedelta,
) -> AsyncIterator[Look]:
    """Collect twice, `between` apart, for rates are made of two; the sources go on meanwhile."""
    clock = SystemClock()
    async with composition.running(settings, specs, clock, every=between) as work:
        schedule = work.schedule
        with _progress() as progress:
            over = clock.monotonic() + between.total_seconds()
            latest = over + LAST_PASS.total_seconds()
            # A source whose first pass failed gets another one.
            while (now := clock.monotonic()) < over or (schedule.passes < 2 and now < latest):
                progress(_waited_for(schedule, over - now))
                await clock.sleep(LOOK_EVERY)

        async def look() -> Observed:
            return Observed(
                Page(work.document().text().decode()),
                clock.now(),
                schedule.shown("events"),
                {state.name: state.last_error for state in schedule.states if state.last_error},
            )

        yield look


def _waited_for(schedule: Schedule, left: float) -> str:
    """Return what somebody who waits is told; `left` is in seconds."""
    waiting, all_sources = len(schedule.missing()), len(schedule.states)
    if waiting:
        return f"first pass: {all_sources - waiting} of {all_sources} sources have answered"
    return f"second pass: {max(0.0, left):.0f} s to go"


@contextmanager
def _progress() -> Iterator[Progress]:
    """Show on stderr what is waited for, where a person sees it; it goes when the wait is over."""
    if not err.is_terminal:
        yield lambda _text: None
        return
    with err.status("") as status:
        yield status.update


async def unless(stop: asyncio.Event, work: Coroutine[object, object, ResultT]) -> ResultT | None:
    """Return what `work` returns, or None when `stop` is set first; then `work` is cancelled."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await cancel(working, stopping)
