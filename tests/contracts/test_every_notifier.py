"""What every notifier keeps: errors that say what to do, one key for all tries, no secrets."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.shared.config import Section
from exporter.shared.errors import PermanentError, RunbookdError, TransientError
from exporter.shared.plugins import discover
from responder import notifiers
from responder.contract import Notification, NotifierSpec
from responder.gateways.http import HttpGateway
from tests.bed.sinks import HttpSink, SmtpSink

SECRET = "s3cr3t-t0ken"  # noqa: S105 - the test's own
SPECS: dict[str, NotifierSpec[Section]] = discover(notifiers, NotifierSpec)
MESSAGE = Notification(
    key="incident-42:L1",
    dedup_key="incident-42",
    kind="page",
    level=1,
    title="INC-42 KpiErrorRatioHigh\r\nBcc: somebody@example.com",
    text="Level 1: the incident is new.",
    severity="critical",
    incident_id=42,
    link="http://127.0.0.1:9843/api/v1/incidents/42/report",
    facts={"target": "deployment/default/task-manager"},
)


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with HttpSink.start() as sink:
        yield sink


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpSink]:
    async with SmtpSink.start() as smtp:
        yield smtp


@pytest.fixture
async def http() -> AsyncIterator[HttpGateway]:
    gateway = HttpGateway()
    yield gateway
    await gateway.close()


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


async def send(name: str, settings: dict[str, object], http: HttpGateway) -> None:
    spec = SPECS[name]
    await spec.notifier.send(spec.settings.model_validate(settings), MESSAGE, http)


def webhook(sink: HttpSink, secret_file: Path) -> dict[str, object]:
    return {"url": f"{sink.url}/hook/{SECRET}", "token_file": str(secret_file), "timeout": "500ms"}


def email(port: int) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": port,
        "starttls": False,
        "from": "runbookd@example.com",
        "to": ["oncall@example.com", "second@example.com"],
        "timeout": "500ms",
    }


def test_the_suite_knows_every_notifier() -> None:
    assert sorted(SPECS) == ["email", "webhook"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_webhook_takes_2xx_for_delivered(
    status: int, sink: HttpSink, http: HttpGateway, secret_file: Path
) -> None:
    sink.answer(status)
    await send("webhook", webhook(sink, secret_file), http)
    (request,) = sink.received
    assert isinstance(request.json, dict)
    assert request.json["incident"] == "INC-42"
    assert request.json["key"] == "incident-42:L1"
    assert request.json["dedup_key"] == "incident-42"
    assert request.json["facts"] == {"target": "deployment/default/task-manager"}
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Idempotency-Key"] == "incident-42:L1"


async def test_webhook_sorts_every_other_status_into_later_and_never(
    sink: HttpSink, http: HttpGateway, secret_file: Path
) -> None:
    later = {408, 425, 429, *range(500, 600)}
    for status in range(300, 600):
        sink.answer(status)
        expected = TransientError if status in later else PermanentError
        with pytest.raises(RunbookdError) as caught:
            await send("webhook", webhook(sink, secret_file), http)
        assert type(caught.value) is expected, status
        assert SECRET not in str(caught.value)
    assert len(sink.received) == 300  # redirects are not followed: a POST would lose its body


async def test_webhook_hands_on_what_retry_after_says(
    sink: HttpSink, http: HttpGateway, secret_file: Path
) -> None:
    sink.answer(429, {"Retry-After": "7"})
    with pytest.raises(TransientError) as caught:
        await send("webhook", webhook(sink, secret_file), http)
    assert caught.value.retry_after == timedelta(seconds=7)


async def test_webhook_comes_back_when_no_answer_came(
    sink: HttpSink, http: HttpGateway, secret_file: Path
) -> None:
    sink.hang()
    with pytest.raises(TransientError) as caught:
        await send("webhook", webhook(sink, secret_file), http)
    assert SECRET not in str(caught.value)
    nobody: dict[str, object] = {"url": f"http://127.0.0.1:1/{SECRET}"}
    with pytest.raises(TransientError) as caught:
        await send("webhook", nobody, http)
    assert SECRET not in str(caught.value)


async def test_webhook_waits_for_a_token_that_is_not_mounted_yet(
    sink: HttpSink, http: HttpGateway, tmp_path: Path
) -> None:
    with pytest.raises(TransientError):
        await send("webhook", webhook(sink, tmp_path / "missing"), http)
    assert sink.received == []


async def test_webhook_sends_the_same_key_and_body_again(
    sink: HttpSink, http: HttpGateway, secret_file: Path
) -> None:
    sink.answers([503, 200])
    with pytest.raises(TransientError):
        await send("webhook", webhook(sink, secret_file), http)
    await send("webhook", webhook(sink, secret_file), http)
    first, second = sink.received
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body


async def test_webhook_refuses_a_token_that_would_add_a_header(
    sink: HttpSink, http: HttpGateway, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\r\nX-Injected: yes")
    with pytest.raises(PermanentError) as caught:
        await send("webhook", webhook(sink, path), http)
    assert SECRET not in str(caught.value)


async def test_email_reaches_everybody_in_one_thread(smtp: SmtpSink, http: HttpGateway) -> None:
    await send("email", email(smtp.port), http)
    (mail,) = smtp.messages
    assert mail["X-Rcpt-To"] == "oncall@example.com, second@example.com"
    assert mail["Subject"] == "[page] INC-42 KpiErrorRatioHigh Bcc: somebody@example.com"
    assert mail["Bcc"] is None
    assert mail["References"] != mail["Message-ID"]
    assert "Level 1: the incident is new." in mail.get_content()
    assert MESSAGE.link in mail.get_content()


async def test_email_repeats_its_message_id(smtp: SmtpSink, http: HttpGateway) -> None:
    await send("email", email(smtp.port), http)
    await send("email", email(smtp.port), http)
    first, second = smtp.messages
    assert first["Message-ID"] == second["Message-ID"]


SCRIPTS = {
    "greeting": [b"%d no\r\n"],
    "sender": [b"220 hi\r\n", b"250 hello\r\n", b"%d no\r\n"],
    "recipients": [b"220 hi\r\n", b"250 hello\r\n", b"250 ok\r\n", b"%d no\r\n", b"%d no\r\n"],
    "login": [
        b"220 hi\r\n",
        b"250-hello\r\n250 AUTH PLAIN\r\n",
        b"%d no " + SECRET.encode() + b"\r\n",
    ],
}


@pytest.mark.parametrize("stage", SCRIPTS)
@pytest.mark.parametrize(("code", "expected"), [(451, TransientError), (550, PermanentError)])
async def test_email_comes_back_for_4xx_and_gives_up_for_5xx(
    stage: str,
    code: int,
    expected: type[RunbookdError],
    http: HttpGateway,
    secret_file: Path,
) -> None:
    lines = [line % code if b"%d" in line else line for line in SCRIPTS[stage]]
    login = {"username": "runbookd", "password_file": str(secret_file)} if stage == "login" else {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, line in enumerate(lines):
            if number:
                await reader.readline()
            writer.write(line)
        while await reader.readline():  # RSET, QUIT
            writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RunbookdError) as caught:
            await send("email", email(port) | login, http)
    assert type(caught.value) is expected
    assert SECRET not in str(caught.value)


async def test_email_comes_back_when_the_server_is_away_or_has_no_starttls(
    smtp: SmtpSink, http: HttpGateway
) -> None:
    with pytest.raises(TransientError):
        await send("email", email(1), http)
    with pytest.raises(TransientError):
        await send("email", email(smtp.port) | {"starttls": True}, http)
    assert smtp.messages == []
