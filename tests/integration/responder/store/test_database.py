"""Transactions, errors and the schema: what every aggregate stands on."""

import asyncio
import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from exporter.shared.errors import ConflictError, RunbookdError
from responder.store import schema
from responder.store.database import Store, StoreUnavailableError
from responder.store.inbox import NewDelivery
from responder.store.sqlite import InPlaceConnection
from responder.store.tables import metadata
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until
from tests.integration.responder.store.conftest import (
    T0,
    an_episode,
    an_incident,
    limit_pages,
    opened,
)

DELIVERY = NewDelivery(T0, "alertmanager", b'{"version":"4"}')


async def test_what_was_committed_is_there_after_reopening(url: str) -> None:
    store = await Store.open(url, migrate=True)
    await store.inbox_append([DELIVERY, DELIVERY])
    await store.close()
    again = await Store.open(url, migrate=False)
    async with again.reading() as tx:
        bodies = [item.body for item in await tx.inbox.pending(10)]
    await again.close()
    assert bodies == [DELIVERY.body] * 2


async def test_an_error_rolls_the_whole_transaction_back(store: Store) -> None:
    async def fail_midway() -> None:
        async with store.transaction() as tx:
            await tx.inbox.append(DELIVERY)
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await fail_midway()
    async with store.reading() as tx:
        assert await tx.inbox.depth() == 0


async def test_a_cancelled_transaction_leaves_nothing_and_frees_the_writer(store: Store) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with store.transaction() as tx:
            await tx.inbox.append(DELIVERY)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with store.transaction() as tx:
        assert await tx.inbox.depth() == 0


async def test_writers_queue_and_none_is_lost(store: Store) -> None:
    async def raise_level() -> None:
        async with store.transaction() as tx:
            incident = await tx.incidents.get(1)
            assert incident is not None
            await tx.incidents.told(1, incident.told_level + 1)

    async with store.transaction() as tx:
        await tx.incidents.open(an_incident())
    await asyncio.gather(*(raise_level() for _ in range(20)))
    async with store.reading() as tx:
        incident = await tx.incidents.get(1)
    assert incident is not None
    assert incident.told_level == 20


async def test_a_reader_sees_one_moment_and_does_not_wait_for_a_writer(store: Store) -> None:
    async with store.reading() as reading:
        assert await reading.inbox.depth() == 0
        await store.inbox_append([DELIVERY])
        assert await reading.inbox.depth() == 0
    async with store.reading() as reading:
        assert await reading.inbox.depth() == 1


async def test_the_databases_own_uniqueness_is_a_conflict(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.incidents.open(an_incident())
    with pytest.raises(ConflictError):
        async with store.transaction() as tx:
            await tx.incidents.open(an_incident())


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.inbox_append([DELIVERY])
    with pytest.raises(StoreUnavailableError, match="closed"):
        await store.ping()


async def test_close_waits_for_who_is_inside_and_leaves_no_thread(url: str) -> None:
    before = threading.active_count()
    store = await Store.open(url, migrate=True)
    async with store.reading() as tx:
        closing_down = asyncio.create_task(store.close())
        await asyncio.sleep(0)
        assert await tx.inbox.depth() == 0
        assert not closing_down.done()
    await closing_down

    async def as_before() -> bool:
        return threading.active_count() <= before

    await wait_until(as_before, 5, "the connections' threads end")


async def test_migrating_twice_does_nothing_the_second_time(url: str) -> None:
    first = await Store.migrate(url)
    second = await Store.migrate(url)
    assert first == f"the schema went from nothing to {schema.newest()}"
    assert "nothing to do" in second


async def test_an_old_schema_is_refused_with_the_command_that_helps(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "own.db").touch()  # to SQLite an empty database
    with pytest.raises(RunbookdError, match="alert-responder migrate"):
        await Store.open(url, migrate=False)


async def test_where_no_file_is_no_store_is_and_none_is_made(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "own.db"
    with pytest.raises(RunbookdError, match=f"no store at {path}"):
        await Store.open(f"sqlite:///{path}", migrate=False)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - pathlib's is refused in what is async


async def test_the_migrations_lead_to_the_tables_that_the_code_uses(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return list(compare_metadata(context, metadata))

    async with store._connection(store._writer) as connection:
        assert await connection.run_sync(differences) == []


async def test_an_episode_of_an_earlier_release_is_read_after_the_migration(url: str) -> None:
    store = await Store.open(url, migrate=True)
    async with store.transaction() as tx:
        await tx.episodes.start(an_episode(await opened(tx)))
    async with store._connection(store._writer) as connection:
        for column in ("receiver", "held_by"):
            await connection.execute(text(f"ALTER TABLE episodes DROP COLUMN {column}"))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    await store.close()
    again = await Store.open(url, migrate=True)
    async with again.transaction() as tx:
        (one,) = await tx.episodes.open_of_cluster("test")
        assert replace(one, id=0) == an_episode(one.incident_id)
        assert await tx.episodes.receivers("test", T0) == set()
        await tx.episodes.seen(replace(one, receiver="web.dot"))
        assert await tx.episodes.receivers("test", T0) == {"web.dot"}
    await again.close()


async def test_a_file_that_another_program_locked_is_unavailable(
    sqlite_url: str,
) -> None:
    file = sqlite_url.removeprefix("sqlite:///")
    store = await Store.open(sqlite_url, migrate=True)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError, match="locked"):
            await store.inbox_append([DELIVERY])
        other.execute("ROLLBACK")
    await store.inbox_append([DELIVERY])
    await store.close()


async def test_a_writer_in_another_process_waits_for_ours(sqlite_url: str) -> None:
    async def raise_level(store: Store) -> None:
        for _ in range(10):
            async with store.transaction() as tx:
                incident = await tx.incidents.get(1)
                assert incident is not None
                await tx.incidents.told(1, incident.told_level + 1)

    stores = [await Store.open(sqlite_url, migrate=True) for _ in range(2)]
    async with stores[0].transaction() as tx:
        await tx.incidents.open(an_incident())
    await asyncio.gather(*map(raise_level, stores))
    async with stores[0].reading() as tx:
        incident = await tx.incidents.get(1)
    await asyncio.gather(*(store.close() for store in stores))
    assert incident is not None
    assert incident.told_level == 20


async def test_a_full_disk_is_unavailable_and_reading_goes_on(sqlite_url: str) -> None:
    store = await Store.open(sqlite_url, migrate=True)
    await limit_pages(store, 2)
    with pytest.raises(StoreUnavailableError, match="full"):
        await store.inbox_append([NewDelivery(T0, "alertmanager", b"x" * 100_000)])
    async with store.reading() as tx:
        assert await tx.inbox.depth() == 0
    await store.ping()
    await store.close()


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "own.db"
    file.write_text("not a database " * 100)
    with pytest.raises(StoreUnavailableError, match="not a database"):
        await Store.open(f"sqlite:///{file}", migrate=True)


async def test_wal_and_full_sync_are_on(sqlite_url: str) -> None:
    store = await Store.open(sqlite_url, migrate=True)
    async with store._connection(store._writer) as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    await store.close()
    assert found == ["wal", 2, 1]


async def test_what_may_wait_runs_on_a_thread_and_every_other_statement_where_it_is_asked_for(
    sqlite_url: str,
) -> None:
    store = await Store.open(sqlite_url, migrate=True)
    ran: dict[str, bool] = {}

    def trace(statement: str) -> None:
        ran[statement.split(maxsplit=1)[0]] = threading.current_thread() is threading.main_thread()

    async with store._connection(store._writer) as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert isinstance(driver, InPlaceConnection)
        await driver.set_trace_callback(trace)
    async with store.transaction() as tx:
        await tx.inbox.append(DELIVERY)
    await store.close()
    assert ran == {"BEGIN": False, "INSERT": True, "COMMIT": False}


async def test_a_postgres_that_lets_nobody_in_is_unavailable_and_comes_back(
    postgres: Postgres, tmp_path: Path
) -> None:
    url = await postgres.create_database(tmp_path.name)
    store = await Store.open(url, migrate=True)
    await store.inbox_append([DELIVERY])
    await postgres.refuse_connections(tmp_path.name)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            await store.inbox_append([DELIVERY])
    with pytest.raises(StoreUnavailableError):
        await store.ping()
    await postgres.allow_connections(tmp_path.name)
    await store.inbox_append([DELIVERY])
    await store.close()


async def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(StoreUnavailableError):
        await Store.open("postgresql://nobody@127.0.0.1:1/nothing", migrate=False)


async def test_an_unknown_kind_of_database_is_refused() -> None:
    with pytest.raises(RunbookdError, match="not mysql"):
        await Store.open("mysql://127.0.0.1/x", migrate=False)
