"""Answers a scrape: collects nothing, holds nobody up, and is not held by a client that is slow."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from aiohttp import web

from exporter.contract import Metric, Sample
from exporter.exposition.document import Document
from exporter.exposition.negotiation import format_for, takes_gzip
from exporter.exposition.snapshots import Breather, Snapshots
from exporter.shared.clock import Clock
from exporter.shared.log import get_log

TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"
"""Prometheus sends how long it will wait."""

OFFSET = timedelta(milliseconds=500)
"""What is left of the client's patience for writing; blackbox_exporter's `timeout-offset`."""

LONGEST_SCRAPE = 3600
"""Seconds; no scrape_timeout is longer."""

LONGEST = timedelta(minutes=2)
"""Longest that a scrape may take, for a page that nobody reads must go; blackbox_exporter's default
for clients that say nothing."""

WRITE_BYTES = 65_536
"""A transport's buffer, beyond which a write waits for the client."""

SCRAPES = Metric("kpi_exporter_scrapes_total", "Scrapes that were answered.", "counter")
FAILURES = Metric(
    "kpi_exporter_scrape_failures_total",
    "Scrapes that got no page (busy: too many at once, not_ready: nothing was rendered in time), "
    "an old one (old), or did not read it in time (slow).",
    "counter",
    ("reason",),
)
METRICS = (SCRAPES, FAILURES)
REASONS = ("busy", "not_ready", "slow")

_log = get_log(__name__)


@dataclass(slots=True)
class Scrapes:
    """The handler of /metrics."""

    snapshots: Snapshots
    clock: Clock
    collectors: Callable[[], Collection[str]]
    """Names that `?collect[]=` may pick."""
    max_requests: int
    """Most scrapes at once; one more is told to come again (503)."""
    answered: int = 0
    failures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    under_way: int = 0
    """Scrapes that are being answered."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer with the newest page that can be had in time: 400 for an unknown collector."""
        wanted = request.query.getall("collect[]", [])
        unknown = sorted(set(wanted) - set(self.collectors()))
        if unknown:
            known = ", ".join(sorted(self.collectors()))
            text = f"no collector {', '.join(unknown)} is enabled; there are: {known}\n"
            return web.Response(status=400, text=text)
        if self.under_way >= self.max_requests:
            return self._refused("busy", f"{self.under_way} scrapes are being answered\n")
        self.under_way += 1
        try:
            return await self._answer(request, wanted)
        finally:
            self.under_way -= 1

    def samples(self) -> Iterator[Sample]:
        """Return what is known of scrapes."""
        yield Sample(SCRAPES, (), float(self.answered))
        for reason, count in (self.failures | {"old": self.snapshots.old}).items():
            yield Sample(FAILURES, (reason,), float(count))

    async def _answer(self, request: web.Request, wanted: list[str]) -> web.StreamResponse:
        patience = min(LONGEST, patience_of(request) or LONGEST)
        until = self.clock.monotonic() + patience.total_seconds()
        try:
            document = await self.snapshots.newest(max(patience - OFFSET, patience / 2))
        except TimeoutError as error:
            return self._refused("not_ready", f"{error}\n")
        response = web.StreamResponse()
        try:
            async with asyncio.timeout(max(0.0, until - self.clock.monotonic())):
                await self._write(request, response, document, wanted)
        except TimeoutError:
            self.failures["slow"] += 1
            _log.warning("scrape not read in time", seconds=patience.total_seconds())
            if request.transport is not None:
                request.transport.abort()  # what it did not read is freed
        else:
            self.answered += 1
        return response

    async def _write(
        self,
        request: web.Request,
        response: web.StreamResponse,
        document: Document,
        wanted: list[str],
    ) -> None:
        format_ = format_for(",".join(request.headers.getall("Accept", [])))
        if wanted:
            document = document.only(wanted)
        response.headers["Content-Type"] = format_.value
        response.headers["Vary"] = "Accept, Accept-Encoding"
        if takes_gzip(",".join(request.headers.getall("Accept-Encoding", []))):
            pieces: Iterable[bytes] = (compressed := document.gzip(format_))
            response.headers["Content-Encoding"] = "gzip"
            response.content_length = sum(map(len, compressed))
        else:
            pieces = document.identity(format_)
            response.content_length = document.length(format_)
        await response.prepare(request)
        if request.method != "HEAD":
            breather = Breather(self.clock)
            for chunk in _chunks(pieces):
                await response.write(chunk)
                await breather.breathe()
        await response.write_eof()

    def _refused(self, reason: str, text: str) -> web.Response:
        self.failures[reason] += 1
        return web.Response(status=503, text=text, headers={"Retry-After": "1"})


def patience_of(request: web.BaseRequest) -> timedelta | None:
    """Return how long the client says it waits; None where it says nothing that makes sense."""
    try:
        seconds = float(request.headers.get(TIMEOUT_HEADER, "nan"))
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 < seconds <= LONGEST_SCRAPE else None


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces, so that each write is worth its while."""
    waiting: list[bytes] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= WRITE_BYTES:
            yield b"".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)
