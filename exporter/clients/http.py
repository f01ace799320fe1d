"""Bounded GETs over aiohttp, with their timing."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp

from exporter.ports import HttpAnswer, HttpTimeoutError, TooLongError
from exporter.shared.clock import Clock
from exporter.shared.errors import PermanentError, TransientError

USER_AGENT = "runbookd-exporter"


class HttpClient:
    """Bounded GETs; connections are kept, but for those that are asked `fresh`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def get(
        self,
        url: str,
        *,
        deadline: timedelta,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> HttpAnswer:
        """GET `url` without following redirects.

        Raises TransientError (refused, reset), HttpTimeoutError, TooLongError (over `max_bytes`) or
        PermanentError (an address that is none).
        """
        began = self._clock.monotonic()
        timing = SimpleNamespace(connect=None)
        try:
            async with (
                asyncio.timeout(deadline.total_seconds()),
                self._session(fresh=fresh).get(
                    url, headers=headers, allow_redirects=False, trace_request_ctx=timing
                ) as answer,
            ):
                body = await _body(answer, max_bytes, url)
                took = self._clock.monotonic() - began
                return HttpAnswer(answer.status, body, answer.headers, timing.connect, took)
        except TimeoutError as error:
            raise HttpTimeoutError(f"{_place(url)} did not answer in time") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            # Their messages quote the whole address, with what is secret in it.
            raise PermanentError("not a URL that can be asked") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TransientError(f"{_place(url)}: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close all connections."""
        while self._sessions:
            await self._sessions.popitem()[1].close()

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        """Return the session whose connections are kept, or not."""
        if fresh not in self._sessions:
            self._sessions[fresh] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=fresh),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                timeout=aiohttp.ClientTimeout(total=None),
                trace_configs=[self._trace()],
            )
        return self._sessions[fresh]

    def _trace(self) -> aiohttp.TraceConfig:
        """Measure how long a connection takes, from when its address is known."""

        async def start(_session: object, context: SimpleNamespace, _params: object) -> None:
            context.began = self._clock.monotonic()

        async def end(_session: object, context: SimpleNamespace, _params: object) -> None:
            context.trace_request_ctx.connect = self._clock.monotonic() - context.began

        trace = aiohttp.TraceConfig()
        trace.on_connection_create_start.append(start)
        trace.on_dns_resolvehost_end.append(start)
        trace.on_connection_create_end.append(end)
        return trace


async def _body(answer: aiohttp.ClientResponse, max_bytes: int, url: str) -> bytes:
    """Read the body, up to its bound."""
    chunks = []
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            raise TooLongError(f"{_place(url)} sent more than {max_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _place(url: str) -> str:
    """Return `url` without what could be secret in it: user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
