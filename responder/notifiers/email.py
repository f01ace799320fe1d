"""Sends messages as mail over SMTP."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import aiosmtplib
import structlog
from pydantic import ConfigDict, Field
from typing_extensions import override

from exporter.shared.clock import SystemClock
from exporter.shared.config import Duration, Section
from exporter.shared.errors import PermanentError, TransientError
from responder.contract import HttpPort, Notification, Notifier, NotifierSpec

log = structlog.get_logger(__name__)

Address = Annotated[str, Field(pattern=r"^[^@\s<>,]+@[^@\s<>,]+$")]


class Settings(Section):
    """The server, and who writes to whom."""

    model_config = ConfigDict(serialize_by_alias=True)

    host: str
    port: int = Field(default=587, ge=1, le=65535)
    starttls: bool = True
    """Refuse to send where the server offers no STARTTLS."""
    tls: bool = False
    """Speak TLS from the start (port 465) instead of STARTTLS."""
    sender: Address = Field(alias="from")
    to: tuple[Address, ...] = Field(min_length=1)
    username: str | None = None
    password_file: Path | None = None
    """Read again for every message."""
    timeout: Duration = timedelta(seconds=30)
    """How long each answer of the server may take."""


class Email(Notifier[Settings]):
    """A repeat carries the Message-ID of the first try, and mail stores show the two as one."""

    @override
    async def send(self, settings: Settings, message: Notification, http: HttpPort) -> None:
        password = await _password(settings.password_file)
        try:
            async with asyncio.timeout(3 * settings.timeout.total_seconds()):
                refused, _ = await aiosmtplib.send(
                    compose(settings, message),
                    hostname=settings.host,
                    port=settings.port,
                    start_tls=settings.starttls and not settings.tls,
                    use_tls=settings.tls,
                    username=settings.username,
                    password=password,
                    timeout=settings.timeout.total_seconds(),
                )
            for (
                address,
                answer,
            ) in refused.items():  # the others have it: sending again would repeat
                log.warning(
                    "a recipient was refused", to=address, code=answer.code, key=message.key
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _by_codes(settings.host, [one.code for one in error.recipients]) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _by_codes(settings.host, [error.code]) from None
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            raise TransientError(f"{settings.host} failed: {type(error).__name__}") from None


def compose(settings: Settings, message: Notification) -> EmailMessage:
    """Return the mail; those about one incident form one thread."""
    domain = settings.sender.partition("@")[2]
    mail = EmailMessage()
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.to)
    mail["Subject"] = " ".join(f"[{message.kind}] {message.title}".split())
    mail["Date"] = format_datetime(SystemClock().now())
    mail["Message-ID"] = _id(message.key, domain)
    mail["References"] = _id(message.dedup_key, domain)
    mail["Auto-Submitted"] = "auto-generated"
    parts = (message.text, f"Severity: {message.severity}", message.link)
    mail.set_content("\n\n".join(part for part in parts if part) + "\n")
    return mail


def _id(key: str, domain: str) -> str:
    """Keys hold characters that a Message-ID must not: their hash stands in."""
    return f"<{sha256(key.encode()).hexdigest()[:32]}@{domain}>"


def _by_codes(host: str, codes: Sequence[int]) -> TransientError | PermanentError:
    """SMTP's 4xx asks to come back, its 5xx does not. The server's words may repeat a secret."""
    said = f"{host} answered {', '.join(map(str, codes))}"
    if any(400 <= code < 500 for code in codes):
        return TransientError(said)
    return PermanentError(said)


async def _password(password_file: Path | None) -> str | None:
    if password_file is None:
        return None
    try:
        return (await asyncio.to_thread(password_file.read_text)).strip()
    except (OSError, ValueError) as error:
        raise TransientError(f"{password_file} cannot be read: {type(error).__name__}") from error


SPEC = NotifierSpec(
    name="email",
    help="Send messages as mail.",
    settings=Settings,
    notifier=Email(),
)
