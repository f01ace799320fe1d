"""The PostgreSQL collector beside postgres_exporter: what both tell of a server is the same."""

from pathlib import Path

import asyncpg
import pytest

from exporter.clients.open import OpenClients
from exporter.collectors.postgres import SPEC, Settings
from exporter.contract import PolledSource
from exporter.shared.clock import SystemClock
from tests import beside_postgres_exporter as beside
from tests.bed.peers import PostgresExporter, series
from tests.bed.postgres import Postgres

QUIET = {"autovacuum": "off", "track_io_timing": "on"}
"""A worker that comes between two looks would be a connection that only one of them sees."""

ALL = {"interval": "1ms", "medium_interval": "1ms", "slow_interval": "1ms"}
"""Everything is asked in each pass."""


async def use(application: asyncpg.Connection) -> None:
    """Do a little of everything, and leave a transaction open that holds locks."""
    await application.execute("CREATE TABLE task (id int PRIMARY KEY, title text)")
    await application.execute("INSERT INTO task SELECT n, 'x' FROM generate_series(1, 500) AS n")
    await application.execute("UPDATE task SET title = 'y' WHERE id < 100")
    await application.execute("DELETE FROM task WHERE id > 400")
    with pytest.raises(asyncpg.UniqueViolationError):
        await application.execute("INSERT INTO task VALUES (1)")
    await application.execute("CHECKPOINT")
    await application.execute("SELECT pg_stat_force_next_flush()")  # else within a second
    await application.execute("BEGIN; LOCK TABLE task IN SHARE ROW EXCLUSIVE MODE")


async def test_both_tell_the_same_of_a_server(tmp_path: Path) -> None:
    clients = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
    async with (
        Postgres.start(tmp_path, QUIET) as server,
        PostgresExporter.start(tmp_path, server.dsn()) as peer,
    ):
        dsn = await server.create_database("taskmanager")
        settings = Settings.model_validate({"databases": [{"name": "tasks", "dsn": dsn}], **ALL})
        [source] = SPEC.sources(settings, clients)
        assert isinstance(source, PolledSource)
        application = await asyncpg.connect(dsn)
        await use(application)
        await source.collect()  # its connection is one that both count
        before = beside.theirs(await peer.scrape())
        ours = beside.in_their_words((await source.collect()).samples, "taskmanager")
        after = beside.theirs(await peer.scrape())
        await application.close()
        await clients.close()
    assert beside.differences(ours, before, after) == []
    here = {"datname": "taskmanager"}
    assert ours[series("pg_stat_database_numbackends", **here)] == 2
    assert ours[series("pg_locks_count", **here, mode="sharerowexclusivelock")] == 1
    assert ours[series("pg_stat_database_tup_deleted", **here)] == 100
    assert ours[series("pg_stat_database_xact_rollback", **here)] == 1
    assert ours[series("pg_settings_max_connections")] == 100
    assert len(ours) > 60
