"""Every claim about the responder is made on both databases."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.bed.postgres import Postgres


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """Run one server for the session; every test or module gets a database of its own in it."""
    async with Postgres.start(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, postgres: Postgres) -> Postgres | None:
    """Return where a responder of the module keeps its state: files of its own, or a server."""
    return postgres if request.param == "postgresql" else None
