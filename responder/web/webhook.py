"""Alertmanager's webhook: `POST /api/v1/alerts`.

What each answer makes Alertmanager do decides which one is given: 200 only after the commit, since
it forgets what was taken; 503 when the store is down or the queue full, since 5xx alone is tried
again within the flush; 400 and 413 for what will never be read, which is kept as a dead letter
first. Never 3xx, 207 or 429: each loses alerts in its own way.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from aiohttp import web
from aiohttp.client_exceptions import ClientPayloadError

from responder.domain.dead_letter import DeadLetterReason, Unusable
from responder.engine.envelope import MalformedDeliveryError, decode_delivery
from responder.store.database import StoreUnavailableError
from responder.web.intake import Intake, Letter, QueueFullError

HEAD_BYTES = 64 * 1024
"""How much of a dead letter is kept."""
HASHED_BYTES = 64 * 1024 * 1024
"""Where reading on, for the hash of a body that is too large, stops."""
READ_TIMEOUT = timedelta(seconds=10)
"""How long a body may take to arrive; Alertmanager is advised to give up after as long."""
RETRY_AFTER = timedelta(seconds=5)
"""For people and proxies: Alertmanager itself ignores the header and backs off on its own."""

Handler = Callable[[web.Request], Awaitable[web.Response]]


class _TooLargeError(Exception):
    """The body is longer than may be; carries what is kept of it."""

    def __init__(self, size: int, sha256: str, head: bytes, *, whole: bool) -> None:
        super().__init__(size)
        self.size = size
        self.sha256 = sha256
        self.head = head
        self.whole = whole


def alerts_handler(
    intake: Intake, *, max_body_bytes: int, caller: Callable[[web.Request], str]
) -> Handler:
    """Return the handler. `caller` names who sent an (authenticated) request."""

    async def handle(request: web.Request) -> web.Response:
        source = caller(request)
        try:
            body = await _read(request, max_body_bytes)
            return await _take(intake, body, source)
        except _TooLargeError as error:
            return await _refuse_large(intake, error, source, max_body_bytes)
        except TimeoutError:
            return _answer(intake, 503, "interrupted", "the body did not arrive in time")
        except (ClientPayloadError, ConnectionError) as error:
            # Nobody listens any more; the sender saw its connection break and comes again.
            return _answer(intake, 503, "interrupted", f"the body broke off: {error}")
        except QueueFullError as error:
            return _answer(intake, 503, "queue_full", str(error))
        except StoreUnavailableError as error:
            return _answer(intake, 503, "store_unavailable", str(error))

    return handle


async def _take(intake: Intake, body: bytes, source: str) -> web.Response:
    try:
        decode_delivery(body)
    except MalformedDeliveryError as error:
        digest = hashlib.sha256(body).hexdigest()
        letter = Letter(source, error.why, len(body), digest, body[:HEAD_BYTES])
        number = await intake.bury(letter)
        return _answer(intake, 400, "malformed", f"{error} (dead letter {number})")
    await intake.deliver(body, source)
    return _answer(intake, 200, "stored", "stored")


async def _refuse_large(
    intake: Intake, error: _TooLargeError, source: str, limit: int
) -> web.Response:
    size = f"{error.size}" if error.whole else f"more than {error.size}"
    why = Unusable(DeadLetterReason.TOO_LARGE, f"{size} bytes, {limit} may be")
    number = await intake.bury(Letter(source, why, error.size, error.sha256, error.head))
    answer = _answer(intake, 413, "too_large", f"{why} (dead letter {number})")
    if not error.whole:
        answer.force_close()
    return answer


def _answer(intake: Intake, status: int, result: str, text: str) -> web.Response:
    intake.metrics.deliveries.labels(result).inc()
    answer = web.Response(status=status, text=f"{text}\n")
    if status == web.HTTPServiceUnavailable.status_code:
        answer.headers["Retry-After"] = str(int(RETRY_AFTER.total_seconds()))
    return answer


async def _read(request: web.Request, limit: int) -> bytes:
    """Return the body. Raises _TooLargeError, TimeoutError, or what a broken connection raises."""
    if request.content.is_eof() and request.content.total_bytes <= limit:
        return await request.content.read()  # it came with its headers: nothing to wait for
    parts = []
    size = 0
    async with asyncio.timeout(READ_TIMEOUT.total_seconds()):
        async for part in request.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise await _measured(request, parts, size)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _measured(request: web.Request, parts: list[bytes], size: int) -> _TooLargeError:
    """Read on for size and hash alone, up to a bound; what was read is let go."""
    digest = hashlib.sha256()
    head = b"".join(parts)[:HEAD_BYTES]
    for part in parts:
        digest.update(part)
    parts.clear()
    async for part in request.content.iter_any():
        digest.update(part)
        size += len(part)
        if size > HASHED_BYTES:
            return _TooLargeError(size, digest.hexdigest(), head, whole=False)
    return _TooLargeError(size, digest.hexdigest(), head, whole=True)
