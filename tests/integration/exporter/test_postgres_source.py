"""The PostgreSQL collector on a real server: one connection, read only, whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from exporter.clients.http import USER_AGENT
from exporter.clients.open import OpenClients
from exporter.collectors.postgres import SPEC, DatabaseSettings, Settings
from exporter.contract import PolledSource
from exporter.shared.clock import SystemClock
from exporter.shared.errors import PermanentError, TransientError
from tests.bed.postgres import Postgres
from tests.bed.process import free_port, wait_until
from tests.fake_clients import lines

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = timedelta(seconds=2)
DOWN = ['kpi_postgres_up{database="tasks"} 0']


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    async with Postgres.start(tmp_path_factory.mktemp("postgres")) as server:
        await server.create_database("taskmanager")
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def clients() -> AsyncIterator[OpenClients]:
    opened = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
    yield opened
    await opened.close()


def source(clients: OpenClients, dsn: str) -> PolledSource:
    database = DatabaseSettings.model_validate({"name": "tasks", "dsn": dsn})
    (found,) = SPEC.sources(Settings(databases=(database,)), clients)
    assert isinstance(found, PolledSource)
    return found


async def backends(postgres: Postgres) -> list[int]:
    """Return the process ids of the exporter's connections."""
    rows = await postgres.execute(
        f"SELECT pid FROM pg_stat_activity WHERE application_name = '{USER_AGENT}'"  # noqa: S608 - our own constant
    )
    return [row["pid"] for row in rows]


async def test_passes_share_one_connection_and_count_the_clients(
    postgres: Postgres, clients: OpenClients
) -> None:
    tasks = source(clients, postgres.dsn("taskmanager"))
    assert await backends(postgres) == [], "nothing is opened before the first pass"
    other = await asyncpg.connect(postgres.dsn("taskmanager"))
    await other.execute("BEGIN")
    found = await tasks.collect()
    first = await backends(postgres)
    assert lines(found) == [
        'kpi_postgres_up{database="tasks"} 1',
        'kpi_postgres_connections{database="tasks",state="active"} 1',
        'kpi_postgres_connections{database="tasks",state="idle"} 0',
        'kpi_postgres_connections{database="tasks",state="idle_in_transaction"} 1',
        'kpi_postgres_connections{database="tasks",state="idle_in_transaction_aborted"} 0',
        'kpi_postgres_connections{database="tasks",state="other"} 0',
        'kpi_postgres_connections_used{database="tasks"} 2',
        'kpi_postgres_max_connections{database="tasks"} 97',
        "database_connections_ratio{tasks} = 0.02062",
    ]
    await other.close()
    for _ in range(3):
        await tasks.collect()
    assert await backends(postgres) == first
    assert len(first) == 1


async def test_a_role_without_rights_still_sees_how_many_there_are(
    postgres: Postgres, clients: OpenClients
) -> None:
    await postgres.execute("CREATE ROLE watcher LOGIN")
    other = await asyncpg.connect(postgres.dsn("taskmanager"))
    found = await source(
        clients, postgres.dsn("taskmanager").replace("postgres@", "watcher@")
    ).collect()
    await other.close()
    assert 'kpi_postgres_connections_used{database="tasks"} 2' in lines(found)
    assert 'kpi_postgres_connections{database="tasks",state="other"} 1' in lines(found)


async def test_a_database_that_refuses_is_down_and_found_again(
    postgres: Postgres, clients: OpenClients
) -> None:
    tasks = source(clients, postgres.dsn("taskmanager"))
    await tasks.collect()
    await postgres.refuse_connections("taskmanager")
    for _ in range(3):
        assert lines(await tasks.collect()) == DOWN
    assert await backends(postgres) == []
    await postgres.allow_connections("taskmanager")
    assert lines(await tasks.collect())[0].endswith(" 1")
    assert len(await backends(postgres)) == 1


async def test_nobody_listening_is_down(clients: OpenClients) -> None:
    dsn = f"postgresql://u:geheim@127.0.0.1:{free_port()}/x"
    assert lines(await source(clients, dsn).collect()) == DOWN


async def test_a_database_that_was_dropped_is_down(
    postgres: Postgres, clients: OpenClients
) -> None:
    assert lines(await source(clients, postgres.dsn("nowhere")).collect()) == DOWN


@pytest.mark.parametrize("dsn", ["mysql://geheim@h/x", "postgresql://u:geheim@h:port/x", ""])
async def test_an_address_that_is_none_is_our_fault_and_not_shown(
    clients: OpenClients, dsn: str
) -> None:
    with pytest.raises(PermanentError) as error:
        await source(clients, dsn).collect()
    assert "geheim" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


async def test_a_role_that_is_not_let_in_is_our_fault(
    postgres: Postgres, clients: OpenClients
) -> None:
    with pytest.raises(PermanentError, match="28000"):
        await source(clients, postgres.dsn().replace("postgres@", "nobody@")).collect()


async def test_a_held_lock_costs_no_second_connection_and_no_long_wait(
    postgres: Postgres, clients: OpenClients
) -> None:
    holder = await asyncpg.connect(postgres.dsn("taskmanager"))
    await holder.execute("CREATE TABLE held ()")
    database = clients.database(postgres.dsn("taskmanager"), statement_timeout=LIMIT)
    tasks = source(clients, postgres.dsn("taskmanager"))
    async with holder.transaction():
        await holder.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        asked = [database.fetch("SELECT * FROM held") for _ in range(3)]
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*asked, return_exceptions=True)
        assert ["55P03" in str(answer) for answer in answers] == [True] * 3
        assert all(isinstance(answer, TransientError) for answer in answers)
        assert len(await backends(postgres)) == 1
        assert lines(await tasks.collect())[0].endswith(" 1")
        assert len(await backends(postgres)) == 1
    await holder.execute("DROP TABLE held")
    await holder.close()


async def test_a_pass_that_is_cancelled_leaves_the_connection_usable(
    postgres: Postgres, clients: OpenClients
) -> None:
    database = clients.database(postgres.dsn("taskmanager"), statement_timeout=LIMIT)
    assert await database.fetch_value("SELECT 1") == 1
    first = await backends(postgres)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await database.fetch("SELECT pg_sleep(1.5)")
    assert await database.fetch_value("SELECT 2") == 2
    assert await backends(postgres) == first


async def test_queries_are_bounded_and_read_only(postgres: Postgres, clients: OpenClients) -> None:
    quick = timedelta(milliseconds=100)
    database = clients.database(postgres.dsn("taskmanager"), statement_timeout=quick)
    with pytest.raises(TransientError, match="57014"):
        await database.fetch("SELECT pg_sleep(5)")
    with pytest.raises(PermanentError, match="25006"):
        await database.fetch("CREATE TABLE forbidden ()")
    with pytest.raises(PermanentError, match="42601"):
        await database.fetch("SELEC 1")
    assert await database.fetch_value("SELECT 1 WHERE false") is None


async def test_closing_leaves_no_connection_behind(
    postgres: Postgres, clients: OpenClients
) -> None:
    await source(clients, postgres.dsn("taskmanager")).collect()
    await clients.close()

    async def gone() -> bool:
        return await backends(postgres) == []

    await wait_until(gone, 5, "the server has seen the connection go")


async def test_a_server_that_goes_is_down(tmp_path: Path, clients: OpenClients) -> None:
    async with Postgres.start(tmp_path) as server:
        tasks = source(clients, server.dsn())
        assert lines(await tasks.collect())[0].endswith(" 1")
    assert lines(await tasks.collect()) == DOWN
