"""What becomes of a report: a message to a webhook, and a line in a history."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from exporter.morning import history
from exporter.morning.history import Past
from exporter.morning.report import Report
from exporter.shared.clock import Clock
from exporter.shared.errors import PermanentError, TransientError

ANSWER_WITHIN = timedelta(seconds=10)

TRIES = 3
FIRST_WAIT = timedelta(seconds=1)
"""Before the second try; the third comes after twice that."""

_ASK_AGAIN = (408, 425, 429)
"""With 5xx the statuses that ask for the same request later."""


def body(report: Report) -> bytes:
    """Return what is posted: `text` for chats as Slack takes it, the whole report beside it."""
    document = {
        "text": report.as_message(),
        "markdown": report.as_markdown(),
        "report": report.as_json(),
    }
    return json.dumps(document, ensure_ascii=False).encode()


async def send(url: str, report: Report, clock: Clock, *, wait: timedelta = FIRST_WAIT) -> None:
    """POST the report to a webhook, `TRIES` times at most.

    Raises TransientError or PermanentError; neither tells the path, which is often secret.
    """
    sent = body(report)
    for attempt in range(1, TRIES + 1):
        try:
            await _post(url, sent)
        except TransientError:
            if attempt == TRIES:
                raise
            await clock.sleep(wait * 2 ** (attempt - 1))
        else:
            return


async def _post(url: str, sent: bytes) -> None:
    place = f"the webhook at {urlsplit(url).hostname}"
    limit = aiohttp.ClientTimeout(total=ANSWER_WITHIN.total_seconds())
    headers = {"Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.post(url, data=sent, headers=headers, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        # Its own message may quote the address.
        raise TransientError(f"{place} cannot be reached: {type(error).__name__}") from None
    if 200 <= status < 300:
        return
    if status in _ASK_AGAIN or status >= 500:
        raise TransientError(f"{place} answered {status}")
    raise PermanentError(f"{place} answered {status}: is the address still right?")


def earlier(file: Path) -> list[Past]:
    """Return the reports in a history file, oldest first; none where there is no file yet.

    Raises PermanentError when it is something else, and OSError.
    """
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise PermanentError(f"{file} is no history of the check: name another file") from error
    try:
        return history.read(lines)
    except PermanentError as error:
        raise PermanentError(f"{file}: {error}: name another file, or move it away") from error


def keep(file: Path, reports: list[Past]) -> None:
    """Write the newest reports as one step: a reader sees the old file or the new. Raises OSError.

    The folder must be there: one that was mistyped is told and not made.
    """
    written = file.with_name(f".{file.name}.new")
    written.write_text(history.written(reports))
    written.replace(file)


async def secret_url(file: Path) -> str:
    """Return the address in a file. Raises OSError, or PermanentError when there is none in it."""
    url = (await asyncio.to_thread(file.read_text)).strip()
    if not is_address(url):
        raise PermanentError(f"{file} holds no http:// or https:// address")
    return url


def is_address(url: str) -> bool:
    """Say whether something can be asked at `url`."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
