"""The webhook on a real store, behind a real socket, with what may break within reach."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from exporter.shared.clock import SystemClock
from responder.domain.dead_letter import Unusable
from responder.metrics import ResponderMetrics
from responder.store.database import Store
from responder.store.dead_letters import DeadLetter
from responder.store.inbox import InboxItem
from responder.web.intake import Bounds, Intake, Listeners
from responder.web.webhook import alerts_handler
from tests.bed.databases import migrated
from tests.bed.postgres import Postgres

LIMIT = 16 * 1024 * 1024
GOOD = (Path(__file__).parents[3] / "data" / "alertmanager_firing.json").read_bytes()


@dataclass
class Receiver:
    """What listens, what it listens with, and what it told others."""

    url: str
    database: str
    store: Store
    intake: Intake
    session: aiohttp.ClientSession
    pages: list[tuple[str, int]] = field(default_factory=list)
    wakes: list[bool] = field(default_factory=list)

    async def post(self, body: bytes) -> tuple[int, str]:
        """Deliver a body; return status and text."""
        async with self.session.post(self.url, data=io.BytesIO(body)) as answer:
            return answer.status, await answer.text()

    @asynccontextmanager
    async def no_commits(self) -> AsyncIterator[None]:
        """Keep what is delivered meanwhile from being committed, as a slow disk does."""
        if self.database.startswith("sqlite"):
            async with self.store.transaction():
                yield
            return
        connection = await asyncpg.connect(self.database)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE inbox")
                yield
        finally:
            await connection.close()

    async def inbox(self) -> list[InboxItem]:
        async with self.store.reading() as tx:
            return await tx.inbox.pending(1000)

    async def dead_letters(self) -> list[DeadLetter]:
        async with self.store.reading() as tx:
            return await tx.dead_letters.list(1000)

    def counted(self, metric: str, **labels: str) -> float:
        """Return the value of one of the responder's metrics; 0 when it has no such series."""
        return self.intake.metrics.registry.get_sample_value(f"responder_{metric}", labels) or 0


@asynccontextmanager
async def listening(url: str, bounds: Bounds) -> AsyncIterator[Receiver]:
    """Run a receiver on an empty database."""
    store = await Store.open(url, migrate=True)
    pages: list[tuple[str, int]] = []
    wakes: list[bool] = []

    async def page(why: Unusable, number: int) -> None:
        pages.append((str(why), number))

    listeners = Listeners(dead_letter=page, stored=lambda: wakes.append(True))
    intake = Intake(store, SystemClock(), ResponderMetrics(), listeners, bounds)
    intake.start()
    app = web.Application()
    handler = alerts_handler(intake, max_body_bytes=LIMIT, caller=lambda _: "alertmanager")
    app.router.add_post("/api/v1/alerts", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1/alerts"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
        yield Receiver(address, url, store, intake, session, pages, wakes)
    await runner.cleanup()
    await intake.close()
    await store.close()


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return the address of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'responder.db'}"


@pytest.fixture
async def database(shared: Postgres | None, file: str) -> str:
    """Return the address of an empty database, of each kind in turn."""
    return await migrated(shared) if shared else file


@pytest.fixture
async def receiver(database: str) -> AsyncIterator[Receiver]:
    async with listening(database, Bounds()) as one:
        yield one


@pytest.fixture
async def on_file(file: str) -> AsyncIterator[Receiver]:
    """Run a receiver on SQLite, whose file a test can keep from growing."""
    async with listening(file, Bounds()) as one:
        yield one
