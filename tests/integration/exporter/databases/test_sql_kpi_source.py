"""The shipped queries on the database of the sample application, and queries that misbehave."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml

from exporter.clients.open import OpenClients
from exporter.collectors.sql_kpi import SPEC, Settings
from exporter.contract import PolledSource
from exporter.shared.errors import PermanentError, TransientError
from tests.bed.postgres import Postgres
from tests.bed.process import Process, free_port
from tests.bed.settings import HOME
from tests.fake_clients import lines

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def application(postgres: Postgres, tmp_path: Path) -> AsyncIterator[str]:
    """Run the sample application and return its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async with await Process.start(
        [sys.executable, "-m", "tests.bed.task_manager", "--port", str(port)],
        log=tmp_path / "task-manager.log",
        name="task-manager",
        env={"DATABASE_URL": postgres.dsn("taskmanager")},
        ready=ready,
    ):
        yield url


def sources(
    clients: OpenClients, dsn: str, queries: Sequence[Mapping[str, object]]
) -> dict[str, PolledSource]:
    settings = Settings.model_validate(
        {"databases": [{"name": "taskmanager", "dsn": dsn}], "queries": queries}
    )
    made = SPEC.sources(settings, clients)
    return {source.name: source for source in made if isinstance(source, PolledSource)}


def query(sql: str, **more: object) -> dict[str, object]:
    values = [{"name": "kpi_sql_x", "help": "X."}]
    return {"name": "x", "database": "taskmanager", "sql": sql, "values": values, **more}


async def test_the_shipped_queries_count_what_the_application_did(
    postgres: Postgres, clients: OpenClients, application: str
) -> None:
    shipped = yaml.safe_load((HOME / "exporter" / "example.yaml").read_text())["collectors"]
    made = sources(clients, postgres.dsn("taskmanager"), shipped["sql_kpi"]["queries"])
    with pytest.raises(PermanentError, match="42P01"):  # its tables come with its first request
        await made["tasks"].collect()

    async def told() -> list[str]:
        return [line for source in made.values() for line in lines(await source.collect())]

    async with aiohttp.ClientSession(application) as session:
        for user in ("ada", "bob", "ada"):
            posted = session.post("/tasks", json={"title": "x"}, headers={"X-User": user})
            async with posted as answer:
                assert answer.status == 201
    await postgres.execute("UPDATE tasks SET done = true WHERE id = 2", "taskmanager")
    assert await told() == [
        'kpi_sql_tasks{database="taskmanager"} 3',
        'kpi_sql_tasks_done{database="taskmanager"} 1',
        "tasks_created_per_day{taskmanager} = 3",
        "active_users{taskmanager} = 2",
    ]
    yesterday = "(date_trunc('day', now() AT TIME ZONE 'UTC') - interval '1 second')"
    await postgres.execute(
        f"UPDATE tasks SET created_at = {yesterday} AT TIME ZONE 'UTC' WHERE id = 1",  # noqa: S608 - our own words
        "taskmanager",
    )
    await postgres.execute(
        "UPDATE sessions SET last_seen = now() - interval '6 minutes' WHERE user_name = 'bob'",
        "taskmanager",
    )
    assert (await told())[2:] == [
        "tasks_created_per_day{taskmanager} = 2",
        "active_users{taskmanager} = 1",
    ]


async def test_a_query_that_writes_is_refused(postgres: Postgres, clients: OpenClients) -> None:
    await postgres.execute("CREATE TABLE kept AS SELECT 1 AS value", "taskmanager")
    await postgres.execute("CREATE SEQUENCE numbers", "taskmanager")
    for sql in (
        "WITH gone AS (DELETE FROM kept RETURNING value) SELECT value FROM gone",
        "SELECT 1 AS value; DELETE FROM kept",
        "SELECT nextval('numbers') AS value",
    ):
        source = sources(clients, postgres.dsn("taskmanager"), [query(sql)])["x"]
        with pytest.raises(PermanentError):
            await source.collect()
    source = sources(clients, postgres.dsn("taskmanager"), [query("SELECT * FROM kept")])["x"]
    assert lines(await source.collect()) == ['kpi_sql_x{database="taskmanager"} 1']
    await postgres.execute("DROP TABLE kept", "taskmanager")


async def test_a_query_is_bounded_in_rows_and_time_and_delays_nobody_for_good(
    postgres: Postgres, clients: OpenClients
) -> None:
    made = sources(
        clients,
        postgres.dsn("taskmanager"),
        [
            query("SELECT generate_series(1, 100000000) AS value", name="rows", max_rows=5),
            query("SELECT pg_sleep(60)::text AS value", name="time", timeout="100ms"),
            query("SELECT 7 AS value"),
        ],
    )
    with pytest.raises(PermanentError, match="query rows: more than 5 rows"):
        await made["rows"].collect()
    with pytest.raises(TransientError, match="57014"):
        await made["time"].collect()
    assert lines(await made["x"].collect()) == ['kpi_sql_x{database="taskmanager"} 7']
    rows = await postgres.execute(
        "SELECT state FROM pg_stat_activity WHERE application_name = 'runbookd-exporter/sql_kpi'"
    )
    assert [row["state"] for row in rows] == ["idle"]
