"""The PostgreSQL collector on a real server: one connection, read only, whatever happens."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from exporter.clients.http import USER_AGENT
from exporter.clients.open import OpenClients
from exporter.clients.postgres import PostgresDatabase
from exporter.collectors.postgres import ABSENT, SPEC, DatabaseSettings, Settings
from exporter.contract import Collected, PolledSource
from exporter.postgres.tables import TABLE_SIZE
from exporter.shared.errors import PermanentError
from exporter.sql_port import QueryDelayedError, QueryRefusedError
from tests.bed.postgres import Postgres
from tests.bed.process import free_port, wait_until
from tests.fake_clients import lines

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = timedelta(seconds=2)
DOWN = ['kpi_postgres_up{database="tasks"} 0']


def ours(clients: OpenClients, postgres: Postgres, limit: timedelta = LIMIT) -> PostgresDatabase:
    """Return the connection that the collector asks over."""
    dsn = postgres.dsn("taskmanager")
    return clients.database(dsn, collector=SPEC.name, statement_timeout=limit)


def source(clients: OpenClients, dsn: str) -> PolledSource:
    database = DatabaseSettings.model_validate({"name": "tasks", "dsn": dsn})
    (found,) = SPEC.sources(Settings(databases=(database,)), clients)
    assert isinstance(found, PolledSource)
    return found


def absent(found: Collected) -> dict[str, str]:
    """Return the parts of which nothing is known, with the reason."""
    return {
        sample.labels[1]: sample.labels[2] for sample in found.samples if sample.metric is ABSENT
    }


def tables_with_a_size(found: Collected) -> set[str]:
    return {sample.labels[2] for sample in found.samples if sample.metric is TABLE_SIZE}


async def refusal(asked: Awaitable[object]) -> tuple[type[Exception], str]:
    """Return how a query failed, and for which reason."""
    try:
        answer = await asked
    except (QueryDelayedError, QueryRefusedError) as error:
        return type(error), error.reason
    raise AssertionError(answer)


async def backends(postgres: Postgres) -> list[int]:
    """Return the process ids of the exporter's connections."""
    rows = await postgres.execute(
        f"SELECT pid FROM pg_stat_activity WHERE application_name LIKE '{USER_AGENT}%'"  # noqa: S608 - our own constant
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
    assert {
        'kpi_postgres_up{database="tasks"} 1',
        'kpi_postgres_connections{database="tasks",state="active"} 1',
        'kpi_postgres_connections{database="tasks",state="idle"} 0',
        'kpi_postgres_connections{database="tasks",state="idle_in_transaction"} 1',
        'kpi_postgres_connections{database="tasks",state="idle_in_transaction_aborted"} 0',
        'kpi_postgres_connections{database="tasks",state="other"} 0',
        'kpi_postgres_connections_used{database="tasks"} 2',
        'kpi_postgres_max_connections{database="tasks"} 97',
        "database_connections_ratio{tasks} = 0.02062",
    } <= set(lines(found))
    assert absent(found) == {"statements": "missing"}
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
    dsn = postgres.dsn("taskmanager").replace("postgres@", "watcher@")
    found = await source(clients, dsn).collect()
    await other.close()
    assert 'kpi_postgres_connections_used{database="tasks"} 2' in lines(found)
    assert 'kpi_postgres_connections{database="tasks",state="other"} 1' in lines(found)
    assert absent(found) == dict.fromkeys(
        ("activity", "replicas", "statements", "wal_files", "server_size"), "privilege"
    )
    await postgres.execute("GRANT pg_monitor TO watcher")
    found = await source(clients, dsn).collect()
    assert absent(found) == {"statements": "missing"}
    await postgres.execute("REVOKE pg_monitor FROM watcher")


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


async def test_a_held_lock_costs_no_second_connection_and_only_what_it_is_about(
    postgres: Postgres, clients: OpenClients
) -> None:
    holder = await asyncpg.connect(postgres.dsn("taskmanager"))
    await holder.execute("CREATE TABLE held (id int PRIMARY KEY); CREATE TABLE free ()")
    database = ours(clients, postgres)
    async with holder.transaction():
        await holder.execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        asked = [database.fetch("SELECT * FROM held") for _ in range(3)]
        async with asyncio.timeout(5):
            answers = await asyncio.gather(*asked, return_exceptions=True)
        assert ["55P03" in str(answer) for answer in answers] == [True] * 3
        assert all(isinstance(answer, QueryDelayedError) for answer in answers)
        found = await source(clients, postgres.dsn("taskmanager")).collect()
        assert absent(found) == {"statements": "missing"}
        assert tables_with_a_size(found) == {"free"}
        assert len(await backends(postgres)) == 1
    async with holder.transaction():
        await holder.execute("REINDEX INDEX held_pkey")  # locks the index alone in that mode
        found = await source(clients, postgres.dsn("taskmanager")).collect()
        assert absent(found) == {"statements": "missing", "table_sizes": "lock"}
        assert lines(found)[0].endswith(" 1")
        assert len(await backends(postgres)) == 1
    found = await source(clients, postgres.dsn("taskmanager")).collect()
    assert tables_with_a_size(found) == {"held", "free"}
    await holder.execute("DROP TABLE held, free")
    await holder.close()


async def test_a_pass_that_is_cancelled_leaves_the_connection_usable(
    postgres: Postgres, clients: OpenClients
) -> None:
    database = ours(clients, postgres)
    assert [dict(row) for row in await database.fetch("SELECT 1 AS one")] == [{"one": 1}]
    first = await backends(postgres)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await database.fetch("SELECT pg_sleep(1.5)")
    assert len(await database.fetch("SELECT 2")) == 1
    assert await backends(postgres) == first


async def test_queries_are_bounded_and_read_only(postgres: Postgres, clients: OpenClients) -> None:
    quick = timedelta(milliseconds=100)
    database = ours(clients, postgres, quick)
    for query, kind, reason in (
        ("SELECT pg_sleep(5)", QueryDelayedError, "timeout"),
        ("CREATE TABLE forbidden ()", QueryRefusedError, "read_only"),
        ("SELECT * FROM nowhere", QueryRefusedError, "missing"),
        ("SELEC 1", QueryRefusedError, "Other"),
    ):
        assert await refusal(database.fetch(query)) == (kind, reason)
    assert await database.fetch("SELECT 1 WHERE false") == []


async def test_what_somebody_wrote_cannot_write_however_it_tries(
    postgres: Postgres, clients: OpenClients
) -> None:
    await postgres.execute("CREATE TABLE kept AS SELECT 1 AS id", "taskmanager")
    database = ours(clients, postgres)

    async def some(query: str, within: timedelta = LIMIT) -> list[dict[str, object]]:
        return [dict(row) for row in await database.fetch_some(query, rows=3, within=within)]

    assert await some("SELECT generate_series(1, 1000000) AS n") == [{"n": 1}, {"n": 2}, {"n": 3}]
    unlock = "SELECT set_config('default_transaction_read_only', 'off', false) AS set"
    assert await some(unlock) == [{"set": "off"}]
    for query, reason in (
        ("DELETE FROM kept RETURNING id", "read_only"),
        ("WITH gone AS (DELETE FROM kept RETURNING id) SELECT id FROM gone", "read_only"),
        ("SELECT set_config('transaction_read_only', 'off', false)", "Other"),
        ("SELECT 1; DELETE FROM kept", "Other"),
    ):
        assert await refusal(some(query)) == (QueryRefusedError, reason), query
    slow = some("SELECT pg_sleep(5)", timedelta(milliseconds=50))
    assert await refusal(slow) == (QueryDelayedError, "timeout")
    assert await some("SELECT id, current_setting('timezone') AS zone FROM kept") == [
        {"id": 1, "zone": "UTC"}
    ]
    assert len(await backends(postgres)) == 1
    await postgres.execute("DROP TABLE kept", "taskmanager")


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
