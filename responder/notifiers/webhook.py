"""POSTs messages as JSON to any address."""

import asyncio
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from pydantic import Field
from typing_extensions import override

from exporter.shared.config import Duration, Section
from exporter.shared.errors import PermanentError, TransientError
from responder.contract import HttpPort, Notification, Notifier, NotifierSpec
from responder.domain.values import incident_name

_ASK_AGAIN = (408, 425, 429)
"""With 5xx the statuses that ask for the same request later."""


class Settings(Section):
    """Where to."""

    url: str = Field(pattern=r"^https?://", repr=False)
    """May hold a secret, and is therefore never shown in an error; only its host is."""
    token_file: Path | None = None
    """A bearer token, read again for every message."""
    timeout: Duration = timedelta(seconds=10)
    """How long an answer may take."""


class Webhook(Notifier[Settings]):
    """Sends the message's key as `Idempotency-Key`, so that a receiver can drop a repeat."""

    @override
    async def send(self, settings: Settings, message: Notification, http: HttpPort) -> None:
        host = urlsplit(settings.url).hostname
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": message.key,
            **await _authorization(settings.token_file),
        }
        status, answered, _ = await http.post(
            settings.url, _body(message), headers, settings.timeout
        )
        if 200 <= status < 300:
            return
        if status in _ASK_AGAIN or status >= 500:
            raise TransientError(
                f"{host} answered {status}", retry_after=_retry_after(answered.get("Retry-After"))
            )
        raise PermanentError(f"{host} answered {status}")


async def _authorization(token_file: Path | None) -> dict[str, str]:
    if token_file is None:
        return {}
    try:
        token = (await asyncio.to_thread(token_file.read_text)).strip()
    except (OSError, ValueError) as error:
        # Secrets are mounted and rotated by others: it may be there in a moment.
        raise TransientError(f"{token_file} cannot be read: {type(error).__name__}") from error
    return {"Authorization": f"Bearer {token}"}


def _body(message: Notification) -> bytes:
    incident = incident_name(message.incident_id) if message.incident_id else ""
    return msgspec.json.encode({**asdict(message), "incident": incident})


def _retry_after(value: str | None) -> timedelta | None:
    return timedelta(seconds=int(value)) if value is not None and value.isdecimal() else None


SPEC = NotifierSpec(
    name="webhook",
    help="POST messages as JSON.",
    settings=Settings,
    notifier=Webhook(),
)
