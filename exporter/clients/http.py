"""Bounded GETs over aiohttp."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

import aiohttp

from exporter.ports import HttpAnswer, HttpTimeoutError, TooLongError
from exporter.shared.errors import PermanentError, TransientError

USER_AGENT = "runbookd-exporter"


class HttpClient:
    """ports.Http; connections are kept."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self,
        url: str,
        *,
        deadline: timedelta,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """GET `url` without following redirects.

        Raises TransientError (refused, reset), HttpTimeoutError, TooLongError (over `max_bytes`) or
        PermanentError (an address that is none).
        """
        try:
            async with (
                asyncio.timeout(deadline.total_seconds()),
                self._opened().get(url, headers=headers, allow_redirects=False) as answer,
            ):
                body = await _body(answer, max_bytes, url)
                return HttpAnswer(answer.status, body, answer.headers)
        except TimeoutError as error:
            raise HttpTimeoutError(f"{_place(url)} did not answer in time") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            # Their messages quote the whole address, with what is secret in it.
            raise PermanentError("not a URL that can be asked") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TransientError(f"{_place(url)}: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, made when a loop runs."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session


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
