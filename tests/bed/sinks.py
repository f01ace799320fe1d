"""Where messages end: an HTTP and an SMTP server that keep what they get."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Self

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from exporter.shared.clock import Clock, SystemClock

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Received:
    """One request; `json` is None when the body is no JSON."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    json: object
    at: datetime


@dataclass(frozen=True)
class Answer:
    """What the HTTP sink says; `hang` means that it says nothing until the client goes."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False


class HttpSink:
    """Records every request, then answers as it was told to (200 at first)."""

    def __init__(self, clock: Clock) -> None:
        self.url = ""
        self.received: list[Received] = []
        self._clock = clock
        self._next: list[Answer] = []
        self._always = Answer()

    @classmethod
    @asynccontextmanager
    async def start(cls, clock: Clock | None = None, host: str = HOST) -> AsyncIterator[Self]:
        """Listen on a free port of `host`; `clock` stamps what is received."""
        sink = cls(clock or SystemClock())
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", sink._take)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, 0).start()
            sink.url = f"http://{host}:{runner.addresses[0][1]}"
            yield sink
        finally:
            await runner.cleanup()

    def answer(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Answer everything so, from now on."""
        self._next, self._always = [], Answer(status, headers or {})

    def hang(self) -> None:
        """Answer nothing, from now on; requests are still recorded."""
        self._next, self._always = [], Answer(hang=True)

    def answers(self, script: Sequence[int | Answer]) -> None:
        """Answer the next requests so, one by one, and then as before."""
        self._next = [Answer(step) if isinstance(step, int) else step for step in script]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            document: object = json.loads(body)
        except ValueError:
            document = None
        now = self._clock.now()
        headers = dict(request.headers)
        self.received.append(Received(request.path_qs, headers, body, document, now))
        answer = self._next.pop(0) if self._next else self._always
        if answer.hang:
            await asyncio.Event().wait()
        return web.Response(status=answer.status, headers=answer.headers)


class SmtpSink:
    """Accepts every mail, without asking who sends it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = 0
        self.messages: list[EmailMessage] = []

    @classmethod
    @asynccontextmanager
    async def start(cls, host: str = HOST) -> AsyncIterator[Self]:
        """Listen on a free port of `host`."""
        sink = cls(host)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(sink, loop=loop, hostname=HOST), host, 0)
        try:
            sink.port = server.sockets[0].getsockname()[1]
            yield sink
        finally:
            server.close()
            await server.wait_closed()

    async def handle_DATA(  # noqa: N802 - the name aiosmtpd calls
        self,
        server: SMTP,  # noqa: ARG002 - aiosmtpd passes it
        session: Session,  # noqa: ARG002 - aiosmtpd passes it
        envelope: Envelope,
    ) -> str:
        """Keep one mail; the envelope's ends are under X-Mail-From and X-Rcpt-To."""
        content = envelope.original_content or b""
        message = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
        message["X-Mail-From"] = envelope.mail_from or ""
        message["X-Rcpt-To"] = ", ".join(envelope.rcpt_tos)
        self.messages.append(message)
        return "250 OK"
