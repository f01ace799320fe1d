"""Brings the document up to date in slices, once for all scrapes that ask meanwhile."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta

from exporter.exposition.document import Document
from exporter.exposition.store import FragmentStore
from exporter.shared.clock import Clock
from exporter.shared.tasks import cancel

SLICE = timedelta(milliseconds=5)
"""Longest work before others get their turn; a probe's or a watch's own work is shorter still."""


class Breather:
    """Lets others have their turn every SLICE."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = clock.monotonic()

    async def breathe(self) -> None:
        """Yield to the loop if it is time to; call it between short pieces of work."""
        if self._clock.monotonic() - self._since >= SLICE.total_seconds():
            await asyncio.sleep(0)
            self._since = self._clock.monotonic()


class Snapshots:
    """Hands out documents: as new as the time allows, always whole."""

    def __init__(
        self, store: FragmentStore, clock: Clock, *, before: Callable[[], Iterator[object]]
    ) -> None:
        """`before` brings what the exporter says of itself up to date, step by step."""
        self._store = store
        self._clock = clock
        self._before = before
        self._refresh: asyncio.Task[Document] | None = None
        self.old = 0
        """Times that a document was handed out that was not the newest."""

    async def newest(self, within: timedelta) -> Document:
        """Return everything that is published now; concurrent callers share the work.

        Where that takes longer than `within`, return the last document that was whole, and raise
        TimeoutError where there is none yet; the work goes on for whoever asks next.
        """
        if self._refresh is None or self._refresh.done():
            self._refresh = asyncio.create_task(self._refreshed(), name="refresh")
        await asyncio.wait({self._refresh}, timeout=within.total_seconds())
        if self._refresh.done():
            return self._refresh.result()
        if not self._store.latest.families:
            raise TimeoutError("nothing was rendered yet")
        self.old += 1
        return self._store.latest

    async def close(self) -> None:
        """Stop a refresh that is under way."""
        if self._refresh is not None:
            await cancel(self._refresh)

    async def _refreshed(self) -> Document:
        breather = Breather(self._clock)
        for _ in self._before():
            await breather.breathe()
        for _ in self._store.refresh():
            await breather.breathe()
        return self._store.latest
