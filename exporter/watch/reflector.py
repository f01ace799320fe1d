"""Keeps a handler in step with all objects of one kind: list, then watch, then never a hole.

The listing comes as a WatchList (flat memory on both ends) or, where the server refuses that, in
pages. Whenever the watch cannot go on where it stopped, everything is listed again by mark and
sweep: what was known stays known until the new listing is complete.
"""

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import msgspec

from exporter.ports import KubeApi, Response
from exporter.shared.clock import Clock
from exporter.shared.errors import GoneError, PermanentError, TransientError
from exporter.watch.lines import CAP, LineSplitter
from exporter.watch.objects import INITIAL_EVENTS_END, ErrorEvent, Event, Meta, Page, Watched

ObjectT = TypeVar("ObjectT", bound=Watched)
HandledT_contra = TypeVar("HandledT_contra", contravariant=True)

PAGE = "250"
"""Objects a page: 500 pods are 3.2 MB, which block the loop for 21-45 ms to decode."""
SILENCE = timedelta(seconds=90)
"""The API server sends a bookmark every minute; half a minute later the connection is dead."""
WATCH_SECONDS = (300, 600)
"""How long one watch lasts, drawn anew each time; client-go's range, so that watches spread."""
FIRST_DELAY = timedelta(milliseconds=500)
LONGEST_DELAY = timedelta(seconds=30)
BREATH = 100
"""Events handled before others get their turn on the loop: about 10 ms."""


class Failure(StrEnum):
    """Why a watch had to start again; label values of kpi_source_failures_total."""

    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    GONE = "gone"
    SILENT = "silent"
    CUT = "cut"
    TOO_LONG = "line_too_long"
    UNREADABLE = "unreadable"


class Handler(Protocol[HandledT_contra]):
    """Who is kept in step: contract.Publisher's words, with objects for samples."""

    def on_object(self, obj: HandledT_contra) -> None:
        """Take an object, new, changed or seen again."""
        ...

    def on_delete(self, uid: str) -> None:
        """Forget an object."""
        ...

    def begin(self) -> None:
        """A listing starts; it may start again before it ends."""
        ...

    def sweep(self) -> None:
        """The listing is complete: what it did not hold is gone."""
        ...

    def alive(self) -> None:
        """All that happened up to now is known."""
        ...

    def failed(self, reason: str) -> None:
        """Something failed that the reflector recovers from."""
        ...


class _ListAgainError(Exception):
    """The watch cannot go on where it stopped."""

    def __init__(self, reason: Failure) -> None:
        super().__init__(reason)
        self.reason = reason


class Reflector(Generic[ObjectT]):
    """One kind of objects, followed until cancelled."""

    def __init__(  # noqa: PLR0913 - limits that tests shorten
        self,
        kube: KubeApi,
        clock: Clock,
        path: str,
        kind: type[ObjectT],
        handler: Handler[ObjectT],
        *,
        silence: timedelta = SILENCE,
        line_cap: int = CAP,
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._path = path
        self._handler = handler
        self._silence = silence.total_seconds()
        self._line_cap = line_cap
        self._pages = msgspec.json.Decoder(Page[kind])  # type: ignore[valid-type]  # built at run time
        self._events: msgspec.json.Decoder[Event[ObjectT]] = msgspec.json.Decoder(
            Event[kind]  # type: ignore[valid-type]  # the same
        )
        self._version = ""
        self._moved = False
        """Something has arrived that the handler was not told to be alive for yet."""
        self._listing = False
        self._watch_list = True
        self._failures_in_a_row = 0

    async def run(self) -> None:
        """Follow until cancelled; whatever the API server does is counted and outlived."""
        while True:
            asked_to_wait: timedelta | None = None
            try:
                await self._once()
            except _ListAgainError as error:
                self._forget(error.reason)
            except GoneError:
                self._forget(Failure.GONE)
            except TransientError as error:
                self._failed(Failure.UNAVAILABLE)
                asked_to_wait = error.retry_after
            except PermanentError:
                self._watch_list = True  # it was not the WatchList that was refused
                self._forget(Failure.REFUSED)
            await self._clock.sleep(self._delay(asked_to_wait))

    async def _once(self) -> None:
        """List if nothing can be continued, then watch until the server ends it."""
        if not self._version:
            if self._watch_list and await self._listed_by_watch():
                return
            await self._list()
        await self._watch({"resourceVersion": self._version})

    async def _listed_by_watch(self) -> bool:
        """List and go on watching in one stream; False when the server does not know how."""
        self._begin()
        try:
            await self._watch({"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"})
        except PermanentError:
            self._watch_list = False
            return False
        except _ListAgainError as error:
            # A server that takes the parameters for none of its own never ends the listing.
            self._watch_list = not (self._listing and error.reason is Failure.SILENT)
            raise
        return True

    async def _list(self) -> None:
        self._begin()
        query = {"limit": PAGE}
        while True:
            body = await self._kube.list(self._path, query)
            try:
                page = self._pages.decode(body)
            except msgspec.DecodeError as error:
                raise _ListAgainError(Failure.UNREADABLE) from error
            for obj in page.items or ():
                self._handler.on_object(obj)
            if not page.metadata.continue_:
                break
            query["continue"] = page.metadata.continue_
        self._listed(page.metadata.resource_version)

    def _begin(self) -> None:
        self._listing = True
        self._handler.begin()

    def _listed(self, version: str) -> None:
        self._listing = False
        self._version = version
        self._handler.sweep()
        self._progress()

    def _progress(self) -> None:
        self._moved = False
        self._failures_in_a_row = 0
        self._handler.alive()

    def _failed(self, reason: Failure) -> None:
        self._failures_in_a_row += 1
        self._handler.failed(reason)

    def _forget(self, reason: Failure) -> None:
        self._version = ""
        self._failed(reason)

    def _delay(self, asked: timedelta | None) -> timedelta:
        """Full jitter: the clients of a restarted API server must not march in step."""
        most = min(LONGEST_DELAY, FIRST_DELAY * (1 << min(self._failures_in_a_row, 10)))
        drawn = most * random.random()  # noqa: S311 - spreads load, hides nothing
        return drawn if asked is None else max(asked, drawn)

    async def _watch(self, query: Mapping[str, str]) -> None:
        lasting = random.randint(*WATCH_SECONDS)  # noqa: S311 - spreads load, hides nothing
        answer = await self._kube.watch(
            self._path,
            {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(lasting)}
            | dict(query),
        )
        try:
            await self._read(answer)
        finally:
            answer.close()

    async def _read(self, answer: Response) -> None:
        lines = LineSplitter(self._line_cap)
        while chunk := await self._chunk(answer):
            skipped = lines.skipped
            for number, line in enumerate(lines.feed(chunk)):
                self._on_line(line)
                if number % BREATH == BREATH - 1:
                    await asyncio.sleep(0)
            if lines.skipped > skipped:
                self._handler.failed(Failure.TOO_LONG)
            if self._moved:
                self._progress()
        if lines.cut:
            self._failed(Failure.CUT)
        elif self._listing:
            self._failed(Failure.UNAVAILABLE)

    async def _chunk(self, answer: Response) -> bytes:
        try:
            async with asyncio.timeout(self._silence):
                return await answer.content.readany()
        except TimeoutError as error:
            raise _ListAgainError(Failure.SILENT) from error

    def _on_line(self, line: bytes) -> None:
        try:
            event = self._events.decode(line)
        except msgspec.DecodeError:
            self._on_odd_line(line)
            return
        obj = event.object
        match event.type:
            case "ADDED" | "MODIFIED":
                self._handler.on_object(obj)
                self._moved_to(obj.metadata.resource_version)
            case "DELETED":
                self._handler.on_delete(obj.metadata.uid)
                self._moved_to(obj.metadata.resource_version)
            case "BOOKMARK":
                self._on_bookmark(obj.metadata)
            case _:
                self._on_odd_line(line)

    def _on_odd_line(self, line: bytes) -> None:
        """Take a line that tells of no object: an ERROR, or nothing that can be read."""
        try:
            error = msgspec.json.decode(line, type=ErrorEvent)
        except msgspec.DecodeError:
            self._handler.failed(Failure.UNREADABLE)
        else:
            gone = error.object.code == 410
            raise _ListAgainError(Failure.GONE if gone else Failure.UNAVAILABLE)

    def _on_bookmark(self, meta: Meta) -> None:
        if self._listing and meta.annotation(INITIAL_EVENTS_END) == "true":
            self._listed(meta.resource_version)
        else:
            self._moved_to(meta.resource_version)

    def _moved_to(self, version: str) -> None:
        """Note how far the stream is; a listing counts for nothing until it is complete."""
        if not self._listing:
            self._version = version
            self._moved = True
