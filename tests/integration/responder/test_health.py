"""What the responder says of itself when a part of it, or what it stands on, is down."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from responder.domain.dead_letter import Unusable
from responder.domain.policy import GateConfig, Policy
from responder.engine.engine import IDLE, Engine
from responder.settings import Auth, Token
from responder.store.database import Store
from responder.web.auth import Authenticator
from responder.web.intake import Intake, Listeners
from responder.web.server import build
from responder.web.webhook import alerts_handler
from tests.bed import responder as beds
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until
from tests.bed.services import without_a_world
from tests.integration.responder.intake.conftest import GOOD

POLICY = Policy({}, (), {}, GateConfig())


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with session.get(path) as answer:
        return answer.status, await answer.text()


@asynccontextmanager
async def logged_in(url: str, token: str) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # it keeps no cookies of bare addresses otherwise
    async with aiohttp.ClientSession(url, cookie_jar=jar) as session:
        _, form = await get(session, "/login")
        found = re.search(r'name="nonce" value="([^"]+)"', form)
        assert found is not None
        data = {"nonce": found[1], "token": token, "next": "/"}
        async with session.post("/login", data=data) as answer:
            assert (answer.status, answer.url.path) == (200, "/")
        yield session


@pytest.mark.timeout(90)
async def test_while_the_store_is_away_everything_says_so_and_metrics_go_on(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with (
        beds.start(tmp_path, postgres=postgres) as alone,
        logged_in(alone.responder.url, alone.places.token("console")) as person,
    ):
        database = alone.places.store_dsn.rpartition("/")[2]
        status, metrics = await alone.call("GET", "/metrics")
        assert status == 200
        assert "responder_store_up 1.0\n" in str(metrics)
        assert "responder_incidents_open 0.0\n" in str(metrics)

        await postgres.refuse_connections(database)
        status, metrics = await alone.call("GET", "/metrics")
        assert status == 200
        assert "responder_store_up 0.0\n" in str(metrics)
        assert "responder_last_intake_timestamp_seconds 0.0\n" in str(metrics)
        for unknown in ("incidents_open", "inbox_depth", "outbox_depth"):
            assert f"responder_{unknown}" not in str(metrics)
        assert (await alone.call("GET", "/healthz"))[0] == 200
        status, ready = await alone.call("GET", "/readyz")
        assert status == 503
        assert "'store: " in str(ready)
        status, answer = await alone.call("GET", "/api/v1/incidents", who="console")
        assert (status, list(answer) if isinstance(answer, dict) else answer) == (503, ["error"])
        status, page = await get(person, "/")
        assert (status, "something is down here" in page) == (503, True)
        assert (await get(person, "/login"))[0] == 503

        await postgres.allow_connections(database)

        async def is_back() -> bool:
            _, text = await alone.call("GET", "/metrics")
            is_ready = (await alone.call("GET", "/readyz"))[0] == 200
            return is_ready and "responder_incidents_open 0.0\n" in str(text)

        await wait_until(is_back, 20, "the store is back")


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[tuple[Engine, aiohttp.ClientSession]]:
    """Serve an engine that was not started, and an intake that ends with its first delivery."""
    store = await Store.open(f"sqlite:///{tmp_path / 'responder.db'}", migrate=True)
    engine = Engine(without_a_world(store, POLICY))

    async def no_page(_why: Unusable, _number: int) -> None:
        raise AssertionError("nothing is malformed")

    def breaks() -> None:
        raise RuntimeError("on purpose")

    listeners = Listeners(dead_letter=no_page, stored=breaks)
    intake = Intake(store, engine.services.clock, engine.services.metrics, listeners)
    intake.start()
    webhook = alerts_handler(intake, max_body_bytes=1 << 20, caller=lambda _: "alertmanager")
    (tmp_path / "token").write_text("0123456789abcdef0123456789abcdef")
    sender = Token(name="alertmanager", role="alertmanager", token_file=tmp_path / "token")
    app = build(engine, intake, webhook, Authenticator(Auth(tokens=(sender,))))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        headers = {"Authorization": "Bearer 0123456789abcdef0123456789abcdef"}
        async with aiohttp.ClientSession(url, headers=headers) as session:
            yield engine, session
    finally:
        await runner.cleanup()
        await intake.close()
        await store.close()


async def test_an_intake_that_has_ended_is_neither_ready_nor_healthy(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, session):
        assert await get(session, "/readyz") == (200, '{"ready": true, "missing": []}')
        assert await get(session, "/healthz") == (200, "ok")
        async with session.post("/api/v1/alerts", data=GOOD) as answer:
            assert answer.status == 200  # it was stored before
        async with session.post("/api/v1/alerts", data=GOOD) as answer:
            assert answer.status == 503
        status, text = await get(session, "/readyz")
        assert (status, "intake: its task has ended" in text) == (503, True)
        assert await get(session, "/healthz") == (503, "ended: intake\n")


async def test_a_loop_of_the_engine_that_has_ended_is_named(tmp_path: Path) -> None:
    async with served(tmp_path) as (engine, session):

        async def leaks_a_cancellation() -> None:
            raise asyncio.CancelledError

        async def fails() -> None:
            raise ValueError("on purpose")

        engine._loop("inbox", leaks_a_cancellation, asyncio.Event(), IDLE)
        engine._loop("outbox", fails, asyncio.Event(), IDLE)

        async def ended() -> bool:
            return (await get(session, "/healthz"))[0] == 503

        await wait_until(ended, 5, "the end of the loop")
        assert await get(session, "/healthz") == (503, "ended: inbox\n")
        await asyncio.gather(*engine._tasks[:1], return_exceptions=True)
        engine._tasks[1].cancel()
