"""PostgreSQL with 200 tables and 300 statements: passes over all parts, on one connection."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import asyncpg

from exporter.clients.http import USER_AGENT
from exporter.clients.open import OpenClients
from exporter.collectors.postgres import SPEC, Settings, parts
from exporter.contract import Collected, PolledSource
from exporter.exposition.store import FragmentStore
from exporter.shared.clock import SystemClock
from tests.bed.postgres import Postgres
from tests.bench.row import Row

TABLES = 200
STATEMENTS = 300
PASSES = 40

ALL = {"interval": "1ms", "medium_interval": "1ms", "slow_interval": "1ms"}
"""Everything is due in each pass."""

SESSIONS = "SELECT sum(sessions)::int FROM pg_stat_database"
OURS = f"SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '{USER_AGENT}%'"  # noqa: S608 - our own constant


def measure() -> Iterable[Row]:
    """Run passes over everything, over what each pass asks, and with a connection each."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    preload = {"shared_preload_libraries": "pg_stat_statements"}
    with tempfile.TemporaryDirectory() as folder:
        async with Postgres.start(Path(folder), preload) as server:
            dsn = await server.create_database("taskmanager")
            watcher = await asyncpg.connect(server.dsn())
            application = await asyncpg.connect(dsn)
            await fill(application)
            rows = await _passes(dsn, watcher)
            rows.append(await _under_a_lock(dsn, watcher, application))
            await application.close()
            await watcher.close()
    return rows


async def fill(connection: asyncpg.Connection) -> None:
    """Make the tables and let the application ask in many ways."""
    await connection.execute("CREATE EXTENSION pg_stat_statements")
    for number in range(TABLES):
        table = f"t{number}"
        await connection.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, {table} text)")
        await connection.execute(f"INSERT INTO {table} VALUES (1), (2)")  # noqa: S608 - our own names
        await connection.execute(f"DELETE FROM {table} WHERE id = 1")  # noqa: S608 - the same
    for number in range(STATEMENTS):
        table = f"t{number % TABLES}"
        await connection.execute(f"SELECT count(*) AS a{number} FROM {table}")  # noqa: S608 - the same


async def _passes(dsn: str, watcher: asyncpg.Connection) -> list[Row]:
    kept = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
    whole, usual = source(kept, dsn, **ALL), source(kept, dsn, interval="1ms")
    store = FragmentStore(SPEC.metrics, max_series=100_000)
    published = store.open(SPEC.metrics)

    async def over_all() -> Collected:
        found = await whole.collect()
        published.put("", found.samples)
        return found

    async def anew() -> None:
        clients = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
        await source(clients, dsn, **ALL).collect()
        await clients.close()

    series = len((await over_all()).samples)
    queries = len(parts(Settings()))  # a primary is not asked whom it follows, but what it is
    await usual.collect()
    before = await watcher.fetchval(SESSIONS)
    taken = await interleaved(over_all, usual.collect)
    new = await watcher.fetchval(SESSIONS) - before
    (wall, cpu), (usual_wall, usual_cpu) = taken
    [(anew_wall, anew_cpu)] = await interleaved(anew)
    await kept.close()
    what = f"pass of {queries} queries, {TABLES} tables, {series} series"
    return [
        Row(f"new connections in {2 * PASSES} passes", new, "", goal="G11", at_most=0),
        Row(f"{what}: wall", wall, "ms", goal="G11", at_most=25),
        Row(f"{what}, rendered: CPU", cpu, "ms", goal="G11", at_most=5),
        Row("pass of what is asked every 15 s: wall", usual_wall, "ms"),
        Row("pass of what is asked every 15 s: CPU", usual_cpu, "ms"),
        Row(
            "the same pass beside one that connects anew: wall",
            wall,
            "ms",
            peer=anew_wall,
            peer_name="connection a pass",
            at_most=0.7,
        ),
        Row("a pass that connects anew: CPU", anew_cpu, "ms"),
    ]


def source(clients: OpenClients, dsn: str, **settings: object) -> PolledSource:
    made = Settings.model_validate({"databases": [{"name": "tasks", "dsn": dsn}], **settings})
    [found] = SPEC.sources(made, clients)
    if not isinstance(found, PolledSource):
        raise TypeError("the collector polls")
    return found


async def interleaved(*works: Callable[[], Awaitable[object]]) -> list[tuple[float, float]]:
    """Return the median wall and CPU milliseconds of each work, run in turn."""
    taken: list[list[tuple[float, float]]] = [[] for _ in works]
    for _ in range(PASSES):
        for work, of_one in zip(works, taken, strict=True):
            began, began_cpu = perf_counter(), process_time()
            await work()
            of_one.append((perf_counter() - began, process_time() - began_cpu))
    return [
        (median(wall for wall, _ in of_one) * 1000, median(cpu for _, cpu in of_one) * 1000)
        for of_one in taken
    ]


async def _under_a_lock(
    dsn: str, watcher: asyncpg.Connection, application: asyncpg.Connection
) -> Row:
    """Hold a table that is to be measured, and look how many connections the passes take."""
    clients = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
    whole = source(clients, dsn, **ALL)
    most = 0
    async with application.transaction():
        await application.execute("LOCK TABLE t0 IN ACCESS EXCLUSIVE MODE; REINDEX TABLE t1")
        for _ in range(5):
            await whole.collect()
            most = max(most, await watcher.fetchval(OURS))
    await clients.close()
    return Row("connections while a table is locked", most, "", goal="G11", at_most=1)
