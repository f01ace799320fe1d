"""GETs against real sockets: timed, bounded, and quiet about secrets."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiohttp import web

from exporter.clients.http import HttpClient
from exporter.ports import HttpTimeoutError, TooLongError
from exporter.shared.errors import PermanentError, TransientError
from tests.bed.process import free_port

DEADLINE = timedelta(seconds=2)


async def _hang(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def _redirect(_: web.Request) -> web.Response:
    raise web.HTTPFound("/big")


async def _big(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 100_000)


async def _echo(request: web.Request) -> web.Response:
    return web.json_response(dict(request.headers))


@pytest.fixture
async def base() -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(
        [
            web.get("/hang", _hang),
            web.get("/redirect", _redirect),
            web.get("/big", _big),
            web.get("/echo", _echo),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


async def test_an_answer_has_status_headers_and_body_and_what_was_sent_arrives(
    http: HttpClient, base: str
) -> None:
    sent = {"Accept": "text/plain"}
    answer = await http.get(f"{base}/echo", deadline=DEADLINE, max_bytes=9999, headers=sent)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert b'"Accept": "text/plain"' in answer.body


async def test_the_deadline_holds_against_a_server_that_hangs(http: HttpClient, base: str) -> None:
    with pytest.raises(HttpTimeoutError, match="in time"):
        await http.get(f"{base}/hang", deadline=timedelta(milliseconds=50), max_bytes=10)


async def test_a_longer_body_than_allowed_is_not_read(http: HttpClient, base: str) -> None:
    with pytest.raises(TooLongError, match="more than 1000 bytes"):
        await http.get(f"{base}/big", deadline=DEADLINE, max_bytes=1000)


async def test_redirects_are_answers(http: HttpClient, base: str) -> None:
    answer = await http.get(f"{base}/redirect", deadline=DEADLINE, max_bytes=10_000)
    assert answer.status == 302


async def test_no_error_repeats_the_secrets_of_an_address(http: HttpClient) -> None:
    secret = f"http://user:geheim@127.0.0.1:{free_port()}/x?token=geheim"
    with pytest.raises(TransientError, match="http://127") as refused:
        await http.get(secret, deadline=DEADLINE, max_bytes=10)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "ftp://127.0.0.1/x", "http://[::1"])
async def test_an_address_that_is_none_is_our_fault(http: HttpClient, url: str) -> None:
    with pytest.raises(PermanentError):
        await http.get(url, deadline=DEADLINE, max_bytes=10)
