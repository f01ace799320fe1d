"""What the PostgreSQL collector tells of a server that is at work: waits, statements, replicas."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from exporter.clients.open import OpenClients
from exporter.collectors.postgres import ABSENT, SPEC, Settings
from exporter.contract import Collected, PolledSource
from tests.bed.postgres import STANDBY, Postgres
from tests.bed.process import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def _at_work(postgres: Postgres) -> None:
    await postgres.execute("CREATE EXTENSION pg_stat_statements", "taskmanager")
    await postgres.execute(
        "CREATE TABLE tasks AS SELECT id, 'x' AS title FROM generate_series(1, 1000) AS id",
        "taskmanager",
    )


def source(clients: OpenClients, dsn: str, **settings: object) -> PolledSource:
    made = Settings.model_validate(
        {
            "databases": [{"name": "tasks", "dsn": dsn}],
            "interval": "1ms",  # everything is due in each pass
            "medium_interval": "1ms",
            "slow_interval": "1ms",
            **settings,
        }
    )
    (found,) = SPEC.sources(made, clients)
    assert isinstance(found, PolledSource)
    return found


def told(found: Collected, name: str, *labels: str) -> float | None:
    """Return the value of a series of the database, by the labels that follow."""
    for sample in found.samples:
        if (sample.metric.name, sample.labels[1:]) == (f"kpi_postgres_{name}", labels):
            return sample.value
    return None


def absent(found: Collected) -> dict[str, str]:
    return {
        sample.labels[1]: sample.labels[2] for sample in found.samples if sample.metric is ABSENT
    }


async def test_who_waits_for_a_lock_is_seen_with_who_holds_it(
    postgres: Postgres, clients: OpenClients
) -> None:
    tasks = source(clients, postgres.dsn("taskmanager"), slow_query="50ms")
    holder, waiter = [await asyncpg.connect(postgres.dsn("taskmanager")) for _ in range(2)]
    touch = "UPDATE tasks SET title = 'y' WHERE id = 1"
    async with holder.transaction():
        await holder.execute(touch)
        waiting = asyncio.create_task(waiter.execute(touch))

        async def blocked() -> Collected | None:
            found = await tasks.collect()
            return found if told(found, "slow_queries_running") else None

        found = await wait_until(blocked, 5, "the waiting query is slow")
        assert found is not None
        assert absent(found) == {}
        assert told(found, "blocked_connections") == 1
        assert told(found, "blocking_connections") == 1
        assert 0 < (told(found, "longest_lock_wait_seconds") or 0) < 5
        assert told(found, "waiting_connections", "Lock") == 1
        assert told(found, "locks", "RowExclusiveLock") == 2
        assert told(found, "slow_queries_total") == 1
        assert (told(found, "oldest_idle_in_transaction_seconds") or 0) > 0
    await waiting
    found = await tasks.collect()
    assert told(found, "blocked_connections") == 0
    assert told(found, "oldest_transaction_seconds") == 0
    assert told(found, "slow_queries_total") == 1
    for connection in (holder, waiter):
        await connection.close()


async def test_statements_are_counted_also_across_a_reset(
    postgres: Postgres, clients: OpenClients
) -> None:
    await postgres.execute("SELECT pg_stat_statements_reset()", "taskmanager")
    # asyncpg reads types by its own statements when it connects; one connection does that once.
    application = await asyncpg.connect(postgres.dsn("taskmanager"))
    count = "SELECT count(*) FROM tasks WHERE title = 'x'"
    tasks = source(clients, postgres.dsn("taskmanager"), query_text=40)

    async def calls() -> float:
        found = await tasks.collect()
        (query_id,) = [
            sample.labels[1]
            for sample in found.samples
            if sample.metric.name == "kpi_postgres_statement_info"
            and sample.labels[2] == "SELECT count(*) FROM tasks WHERE title ="
        ]
        return told(found, "statement_calls_total", query_id) or 0

    for _ in range(3):
        await application.fetch(count)
    assert await calls() == 3
    await application.fetch(count)
    assert await calls() == 4
    await postgres.execute("SELECT pg_stat_statements_reset()", "taskmanager")
    await application.fetch(count)
    assert await calls() == 5
    await application.close()


async def test_statements_of_ignored_roles_do_not_count(
    postgres: Postgres, clients: OpenClients
) -> None:
    await postgres.execute("SELECT pg_stat_statements_reset()", "taskmanager")
    everything = await source(clients, postgres.dsn("taskmanager")).collect()
    assert (told(everything, "statements") or 0) > 1
    ignored = source(clients, postgres.dsn("taskmanager"), ignore_roles=["postgres"])
    found = await ignored.collect()
    assert told(found, "statement_calls_total", "Other") == 0
    assert told(found, "statements") == 0


async def test_dead_rows_sizes_and_resets_are_seen(
    postgres: Postgres, clients: OpenClients
) -> None:
    tasks = source(clients, postgres.dsn("taskmanager"))
    await postgres.execute("CREATE TABLE stale AS SELECT generate_series(1, 500)", "taskmanager")
    await postgres.execute("DELETE FROM stale", "taskmanager")

    async def dead() -> Collected | None:
        found = await tasks.collect()
        return found if told(found, "table_dead_rows", "public", "stale") == 500 else None

    found = await wait_until(dead, 10, "the dead rows are reported")
    assert found is not None
    assert told(found, "table_dead_rows_ratio", "public", "stale") == 1
    assert told(found, "table_last_vacuum_timestamp_seconds", "public", "stale") is None
    assert (told(found, "table_size_bytes", "public", "stale") or 0) > 0
    assert (told(found, "database_size_bytes") or 0) > 1_000_000
    assert told(found, "stats_reset_timestamp_seconds") is None
    await postgres.execute("VACUUM stale", "taskmanager")
    await postgres.execute("SELECT pg_stat_reset()", "taskmanager")
    found = await tasks.collect()
    assert (told(found, "stats_reset_timestamp_seconds") or 0) > 1_700_000_000
    await postgres.execute("DROP TABLE stale", "taskmanager")


async def test_a_replica_is_seen_from_both_sides_and_a_slot_that_nobody_reads(
    postgres: Postgres, clients: OpenClients, tmp_path: Path
) -> None:
    await postgres.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
    async with postgres.standby(tmp_path) as standby:
        primary = source(clients, postgres.dsn("taskmanager"))
        follower = source(clients, standby.dsn("taskmanager"))
        await postgres.execute(
            "CREATE TABLE late AS SELECT generate_series(1, 1000)", "taskmanager"
        )

        async def caught_up() -> Collected | None:
            found = await primary.collect()
            return found if told(found, "replica_lag_bytes", STANDBY) == 0 else None

        found = await wait_until(caught_up, 10, "the standby has replayed all")
        assert found is not None
        assert absent(found) == {}
        assert told(found, "standby") == 0
        assert told(found, "replicas", "streaming") == 1
        assert told(found, "replication_slot_active", "forgotten") == 0
        assert (told(found, "replication_slot_retained_bytes", "forgotten") or 0) > 0
        assert told(found, "standby_receiving") is None
        found = await follower.collect()
        # The extension came over with the database, its library is not loaded there.
        assert absent(found) == {"statements": "missing"}
        assert told(found, "part_failures_total", "statements") == 1
        assert told(found, "standby") == 1
        assert told(found, "standby_receiving") == 1
        assert told(found, "standby_lag_bytes") == 0
        assert told(found, "standby_lag_seconds") == 0
        await standby.execute("SELECT pg_wal_replay_pause()")
        await postgres.execute("INSERT INTO late SELECT generate_series(1, 1000)", "taskmanager")

        async def behind() -> Collected | None:
            found = await follower.collect()
            return found if (told(found, "standby_lag_bytes") or 0) > 0 else None

        found = await wait_until(behind, 20, "the standby has received what it does not replay")
        assert found is not None
        assert (told(found, "standby_lag_seconds") or 0) > 0
    found = await primary.collect()
    assert told(found, "replicas", "streaming") == 0
    await postgres.execute("SELECT pg_drop_replication_slot('forgotten')")
    await postgres.execute("DROP TABLE late", "taskmanager")
