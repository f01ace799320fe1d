"""A server with a database, and the exporter's own clients."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from exporter.clients.open import OpenClients
from exporter.shared.clock import SystemClock
from tests.bed.postgres import Postgres

SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "track_io_timing": "on"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """Run a server with an empty database `taskmanager`."""
    async with Postgres.start(tmp_path_factory.mktemp("postgres"), SETTINGS) as server:
        await server.create_database("taskmanager")
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def clients() -> AsyncIterator[OpenClients]:
    """Return clients that have opened nothing yet."""
    opened = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
    yield opened
    await opened.close()
