"""Server-sent events: open pages are told that something changed, and fetch it themselves.

One task looks at the store once a second while any page listens, whatever their number; the engine
knows nothing of it, so it works the same with several replicas. A stream ends after a while, and
the browser comes again by itself; who cannot be served falls back to looking every few seconds.
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta

from aiohttp import web

from exporter.shared.errors import RunbookdError
from exporter.shared.log import get_log
from exporter.shared.tasks import cancel
from responder.engine.services import Services
from responder.web.frame import COOKIE, Visit
from responder.web.sessions import Sessions

log = get_log(__name__)

LOOK = timedelta(seconds=1)
BEAT = timedelta(seconds=15)
"""Below the 30 s after which many proxies end a silent connection."""

LIFE = timedelta(minutes=15)
"""After which a stream ends, so that none is kept for ever by a page that nobody looks at."""

WRITE = timedelta(seconds=10)
"""How long a reader may take to take an event."""

MOST = 100
"""Streams at once."""

RETRY = timedelta(seconds=3)
"""How soon a browser comes again."""


@dataclass(slots=True, eq=False)
class _Listener:
    """What one open page has still to be told."""

    request: web.Request
    incidents: set[int] = field(default_factory=set)
    switched: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_gone(self) -> bool:
        """Whether the page has hung up; the stream itself notices that when it writes next."""
        return self.request.transport is None or self.request.transport.is_closing()

    def take(self) -> dict[str, object]:
        told = {"incidents": sorted(self.incidents), "switch": self.switched}
        self.incidents, self.switched = set(), False
        self.news.clear()
        return told


class Live:
    """The streams of every open page."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services = services
        self._sessions = sessions
        self._listeners: set[_Listener] = set()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    async def stream(self, visit: Visit) -> web.StreamResponse:
        """Serve `/events` until the page goes, the session ends, or its time is over."""
        if len(self._listeners) >= MOST:
            self._listeners -= {one for one in self._listeners if one.has_gone}
        if self._closed or len(self._listeners) >= MOST:
            raise web.HTTPServiceUnavailable(text=f"{MOST} pages listen already")
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        headers["X-Accel-Buffering"] = "no"  # nginx would keep events back
        response = web.StreamResponse(headers=headers)
        listener = _Listener(visit.request)
        self._listeners.add(listener)
        try:
            await response.prepare(visit.request)
            await _write(response, f"retry: {int(RETRY.total_seconds() * 1000)}\n\n")
            self._look()
            await self._tell(response, listener, visit)
        except (ConnectionError, TimeoutError):
            pass  # the page has gone, or does not listen
        finally:
            self._listeners.discard(listener)
        return response

    async def close(self) -> None:
        """End every stream: a server that stops must not wait for readers."""
        self._closed = True
        for listener in self._listeners:
            listener.news.set()
        if self._looking is not None:
            await cancel(self._looking)

    async def _tell(self, response: web.StreamResponse, listener: _Listener, visit: Visit) -> None:
        clock = self._services.clock
        until = clock.monotonic() + LIFE.total_seconds()
        while not self._closed and clock.monotonic() < until:
            try:
                async with asyncio.timeout(BEAT.total_seconds()):
                    await listener.news.wait()
            except TimeoutError:
                text = f"event: beat\ndata: {clock.now():%H:%M:%S}\n\n"
            else:
                text = f"event: change\ndata: {json.dumps(listener.take())}\n\n"
            if self._closed or not await self._may_listen(visit):
                return
            await _write(response, text)

    async def _may_listen(self, visit: Visit) -> bool:
        """Say whether the session is still in force; when nobody can tell, it is not."""
        try:
            cookie = visit.request.cookies.get(COOKIE, "")
            return await self._sessions.visitor(cookie) is not None
        except RunbookdError:
            return False

    def _look(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_while_heard(), name="live")

    async def _look_while_heard(self) -> None:
        """Tell listeners what is new, until there are none; a store that is away is waited for."""
        clock, store = self._services.clock, self._services.store
        mark = None
        while self._listeners:
            try:
                async with store.reading() as tx:
                    if mark is None:
                        mark = await tx.changes.mark()
                    news = await tx.changes.since(mark)
            except RunbookdError as error:
                log.info("live_cannot_look", error=str(error))
            else:
                mark = news.mark
                if news.incidents or news.switched:
                    for listener in self._listeners:
                        listener.incidents |= news.incidents
                        listener.switched |= news.switched
                        listener.news.set()
            await clock.sleep(LOOK)


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(WRITE.total_seconds()):
        await response.write(text.encode())
