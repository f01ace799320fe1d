"""POSTs for notifiers."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

import aiohttp

from exporter.shared.errors import PermanentError, TransientError

BODY_LIMIT = 64 * 1024


class HttpGateway:
    """Implements responder.contract.HttpPort. Its errors never hold the address.

    Many services put their secret into the path, so only the host is named.
    """

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: timedelta
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send once; redirects are not followed, since a POST would lose its body on the way.

        Raises TransientError when no answer came, PermanentError for an address that is none.
        """
        timeout = aiohttp.ClientTimeout(total=deadline.total_seconds())
        host = urlsplit(url).hostname
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                return answer.status, answer.headers, await _start_of(answer)
        except ValueError:
            raise PermanentError(f"{host}: the address or a header is malformed") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"{host} did not answer: {type(error).__name__}") from None


async def _start_of(answer: aiohttp.ClientResponse) -> bytes:
    found = b""
    async for chunk in answer.content.iter_any():
        found += chunk
        if len(found) >= BODY_LIMIT:
            break
    return found[:BODY_LIMIT]
