"""A pass over PostgreSQL beside a scrape of postgres_exporter: the same server, in turn."""

import asyncio
import tempfile
from collections.abc import Iterable
from pathlib import Path

import asyncpg

from exporter.clients.open import OpenClients
from exporter.collectors.postgres import SPEC
from exporter.contract import Collected
from exporter.exposition.store import FragmentStore
from exporter.shared.clock import SystemClock
from tests import beside_postgres_exporter as beside
from tests.bed.peers import PostgresExporter, values
from tests.bed.postgres import Postgres
from tests.bench.database import ALL, PASSES, TABLES, fill, interleaved, source
from tests.bench.measuring import cpu_seconds_of
from tests.bench.row import Row

PEER = "postgres_exporter"
SETTINGS = {"shared_preload_libraries": "pg_stat_statements", "autovacuum": "off"}
"""A worker that comes between two looks would be a connection that only one of them sees."""

SESSIONS = "SELECT datname, sessions::int FROM pg_stat_database WHERE datname = ANY($1)"
OURS, THEIRS = "taskmanager", "postgres"
"""The databases that each is connected to; both ask about the first."""


def measure() -> Iterable[Row]:
    """Let both ask in turn, and compare what they say."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        async with (
            Postgres.start(root, SETTINGS) as server,
            PostgresExporter.start(root, server.dsn(THEIRS)) as peer,
        ):
            dsn = await server.create_database(OURS)
            application = await asyncpg.connect(dsn)
            watcher = await asyncpg.connect(server.dsn("template1"))
            await fill(application)
            clients = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
            rows = await _in_turn(clients, dsn, peer, watcher)
            await clients.close()
            await watcher.close()
            await application.close()
    return rows


async def _in_turn(
    clients: OpenClients, dsn: str, peer: PostgresExporter, watcher: asyncpg.Connection
) -> list[Row]:
    whole, usual = source(clients, dsn, **ALL), source(clients, dsn, interval="1ms")
    store = FragmentStore(SPEC.metrics, max_series=100_000)
    published = store.open(SPEC.metrics)

    async def over_all() -> Collected:
        found = await whole.collect()
        published.put("", found.samples)
        store.document().text()
        return found

    series = len((await over_all()).samples)
    await usual.collect()
    before = beside.theirs(await peer.scrape())
    ours = beside.in_their_words((await over_all()).samples, OURS)
    page = await peer.scrape()
    differing = beside.differences(ours, before, beside.theirs(page))
    sessions, cpu = await _sessions(watcher), cpu_seconds_of(peer.pid)
    taken = await interleaved(over_all, usual.collect, peer.scrape)
    their_cpu = (cpu_seconds_of(peer.pid) - cpu) / PASSES * 1000
    now = await _sessions(watcher)
    opened = {name: now[name] - sessions[name] for name in now}
    (wall, our_cpu), (usual_wall, usual_cpu), (their_wall, _) = taken
    each = f"{series} series beside {len(values(page))}"
    return [
        _beside(f"pass over all, {TABLES} tables, {each}: CPU", our_cpu, their_cpu, at_most=1),
        _beside("pass over all: wall", wall, their_wall),
        _beside("pass of what is asked every 15 s: CPU", usual_cpu, their_cpu, at_most=1 / 2),
        _beside("pass of what is asked every 15 s: wall", usual_wall, their_wall, at_most=1),
        Row(f"new connections in {2 * PASSES} passes", opened[OURS], "", "G11", at_most=0),
        Row(f"new connections of {PEER} in {PASSES} scrapes", opened[THEIRS], ""),
        Row(f"values that differ, of {len(ours)} that both tell", len(differing), "", at_most=0),
    ]


def _beside(told: str, got: float, peer: float, at_most: float | None = None) -> Row:
    return Row(told, got, "ms", peer=peer, peer_name=PEER, at_most=at_most)


async def _sessions(watcher: asyncpg.Connection) -> dict[str, int]:
    """Return how many sessions each of the two has begun."""
    rows = await watcher.fetch(SESSIONS, [OURS, THEIRS])
    return {row["datname"]: row["sessions"] for row in rows}
