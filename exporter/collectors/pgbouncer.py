"""Asks pgbouncer who waits for a connection, and how much of each pool is in use."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import isfinite
from typing import Literal, Self

from pydantic import Field, model_validator

from exporter.contract import Collected, CollectorSpec, Metric, PolledSource, Reading, Sample
from exporter.ports import Clients
from exporter.postgres.address import Address, Link, one_name_each
from exporter.postgres.part import text
from exporter.shared.config import Duration, Section
from exporter.shared.errors import TransientError
from exporter.sql_port import Console, QueryRefusedError

Row = Mapping[str, object]
Rows = Sequence[Row]

POOLER = ("pgbouncer",)
DATABASE = (*POOLER, "database")
POOL = (*DATABASE, "user")

CONSOLE = "pgbouncer"
"""Name of the database that is the console itself."""

MICROSECONDS = 1e-6


def _gauge(name: str, help_text: str, labels: tuple[str, ...]) -> Metric:
    return Metric(name, help_text, "gauge", labels)


def _counter(name: str, help_text: str, labels: tuple[str, ...]) -> Metric:
    return Metric(name, help_text, "counter", labels)


UP = _gauge(
    "kpi_pgbouncer_up", "1 when the console answered, 0 when it could not be reached.", POOLER
)
INFO = _gauge("kpi_pgbouncer_info", "Always 1; tells the version.", (*POOLER, "version"))
CLIENTS = _gauge("kpi_pgbouncer_clients", "Clients of a pool by state.", (*POOL, "state"))
SERVERS = _gauge(
    "kpi_pgbouncer_servers", "Connections of a pool to PostgreSQL by state.", (*POOL, "state")
)
LONGEST_WAIT = _gauge(
    "kpi_pgbouncer_longest_wait_seconds",
    "Time that the first client in the queue has waited for a connection; 0 when none waits.",
    POOL,
)
POOLS = _gauge("kpi_pgbouncer_pools", "Pools; how many of them are told is bounded.", POOLER)
LISTED = _gauge(
    "kpi_pgbouncer_items", "What SHOW LISTS counts, by its own names.", (*POOLER, "list")
)
MAX_CLIENTS = _gauge(
    "kpi_pgbouncer_max_clients", "Clients that may connect (max_client_conn).", POOLER
)
ABSENT = _gauge(
    "kpi_pgbouncer_part_absent",
    "1 for each part of the statistics that was refused in the last pass.",
    (*POOLER, "part"),
)
FAILURES = _counter(
    "kpi_pgbouncer_part_failures_total",
    "Refused questions for a part of the statistics.",
    (*POOLER, "part"),
)

# Columns of SHOW POOLS; those for cancel requests differ between 1.16, 1.18 and later.
CLIENT_STATES = {
    "cl_active": "active",
    "cl_waiting": "waiting",
    "cl_cancel_req": "cancelling",
    "cl_active_cancel_req": "cancelling",
    "cl_waiting_cancel_req": "waiting_to_cancel",
}
SERVER_STATES = {
    "sv_active": "active",
    "sv_idle": "idle",
    "sv_used": "used",
    "sv_tested": "tested",
    "sv_login": "login",
    "sv_active_cancel": "cancelling",
    "sv_being_canceled": "being_cancelled",
}

COUNTERS: Mapping[str, tuple[Metric, float]] = {
    "total_xact_count": (
        _counter("kpi_pgbouncer_transactions_total", "Transactions pooled.", DATABASE),
        1.0,
    ),
    "total_query_count": (
        _counter("kpi_pgbouncer_queries_total", "Queries pooled.", DATABASE),
        1.0,
    ),
    "total_received": (
        _counter("kpi_pgbouncer_received_bytes_total", "Bytes received from clients.", DATABASE),
        1.0,
    ),
    "total_sent": (
        _counter("kpi_pgbouncer_sent_bytes_total", "Bytes sent to clients.", DATABASE),
        1.0,
    ),
    "total_xact_time": (
        _counter(
            "kpi_pgbouncer_transaction_seconds_total", "Time spent in transactions.", DATABASE
        ),
        MICROSECONDS,
    ),
    "total_query_time": (
        _counter("kpi_pgbouncer_query_seconds_total", "Time spent in queries.", DATABASE),
        MICROSECONDS,
    ),
    "total_wait_time": (
        _counter(
            "kpi_pgbouncer_client_wait_seconds_total",
            "Time that clients waited for a connection.",
            DATABASE,
        ),
        MICROSECONDS,
    ),
}
"""Columns of SHOW STATS, with what they are multiplied by."""

GAUGES: Mapping[str, Metric] = {
    "pool_size": _gauge(
        "kpi_pgbouncer_pool_size",
        "Connections to PostgreSQL that each user of the database may have.",
        DATABASE,
    ),
    "reserve_pool": _gauge(
        "kpi_pgbouncer_reserve_pool_size", "Connections beyond pool_size in an emergency.", DATABASE
    ),
    "current_connections": _gauge(
        "kpi_pgbouncer_database_connections", "Connections to PostgreSQL that are open.", DATABASE
    ),
    "max_connections": _gauge(
        "kpi_pgbouncer_database_max_connections",
        "Connections to PostgreSQL that may be open; absent where nothing limits them.",
        DATABASE,
    ),
    "paused": _gauge("kpi_pgbouncer_database_paused", "1 while the database is paused.", DATABASE),
    "disabled": _gauge(
        "kpi_pgbouncer_database_disabled", "1 while the database is disabled.", DATABASE
    ),
}
"""Columns of SHOW DATABASES."""

RENAMED = {"reserve_pool_size": "reserve_pool"}
"""Columns of SHOW DATABASES that later versions call otherwise."""

Part = Literal["POOLS", "STATS", "DATABASES", "LISTS", "CONFIG", "VERSION"]
PARTS: tuple[Part, ...] = ("POOLS", "STATS", "DATABASES", "LISTS", "CONFIG", "VERSION")


class Settings(Section):
    """Which pgbouncers are asked."""

    poolers: tuple[Address, ...] = ()
    """The pgbouncers; the address is that of the database `pgbouncer`, for a user of
    `stats_users`."""
    interval: Duration = timedelta(seconds=15)
    """Time between two passes."""
    timeout: Duration = timedelta(seconds=10)
    """Time that a pass may take, connecting included."""
    max_pools: int = Field(default=200, ge=1, le=10_000)
    """Most pools (pairs of database and user) that are told, those with most clients first."""

    @model_validator(mode="after")
    def _one_name_each(self) -> Self:
        one_name_each(self.poolers)
        return self


@dataclass(slots=True)
class Pooler:
    """One pgbouncer, over one connection that stays."""

    name: str
    link: Link[Console]
    max_pools: int
    failures: dict[Part, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))

    async def collect(self) -> Collected:
        """Ask once. A pgbouncer that cannot be reached is a sample of 0, not an error.

        Raises PermanentError when the address cannot be read, or is none.
        """
        answers: dict[Part, Rows] = {}
        try:
            console = await self.link.connection()
            for part in PARTS:
                try:
                    answers[part] = await console.show(part)
                except QueryRefusedError:
                    self.failures[part] += 1
        except TransientError:
            return Collected([Sample(UP, (self.name,), 0.0)])
        samples = [
            Sample(UP, (self.name,), 1.0),
            *published(self.name, answers, self.max_pools),
            *(Sample(ABSENT, (self.name, part), 1.0) for part in PARTS if part not in answers),
            *(Sample(FAILURES, (self.name, part), n) for part, n in self.failures.items()),
        ]
        return Collected(samples, readings(self.name, answers))


def published(name: str, answers: Mapping[Part, Rows], max_pools: int) -> Iterator[Sample]:
    """Turn what the console answered into samples; what a version does not tell is left out."""
    yield from _pools(name, answers.get("POOLS"), max_pools)
    for row in _of_databases(answers.get("STATS", ()), "database"):
        for column, (metric, scale) in COUNTERS.items():
            yield from _sample(metric, (name, text(row, "database")), row, column, scale)
    for row in _of_databases(answers.get("DATABASES", ()), "name"):
        yield from _database((name, text(row, "name")), row)
    for row in answers.get("LISTS", ()):
        yield from _sample(LISTED, (name, text(row, "list")), row, "items")
    for row in answers.get("CONFIG", ()):
        if row.get("key") == "max_client_conn":
            yield from _sample(MAX_CLIENTS, (name,), row, "value")
    for row in answers.get("VERSION", ())[:1]:
        version = text(row, "version").removeprefix("PgBouncer").strip()
        if version:
            yield Sample(INFO, (name, version), 1.0)


def readings(name: str, answers: Mapping[Part, Rows]) -> list[Reading]:
    """Return how much of each database's fullest pool is in use."""
    sizes = {
        text(row, "name"): size
        for row in _of_databases(answers.get("DATABASES", ()), "name")
        if (size := _number(row, "pool_size"))
    }
    used: dict[str, float] = {}
    for row in _of_databases(answers.get("POOLS", ()), "database"):
        database, active = text(row, "database"), _number(row, "sv_active")
        if database in sizes and active is not None:
            used[database] = max(active / sizes[database], used.get(database, 0.0))
    return [
        Reading("database_pool_ratio", (("database", database), ("pgbouncer", name)), ratio)
        for database, ratio in used.items()
    ]


def _pools(name: str, rows: Rows | None, most: int) -> Iterator[Sample]:
    """Tell of the pools with the most clients."""
    if rows is None:
        return
    pools = sorted(_of_databases(rows, "database"), key=_rank)
    yield Sample(POOLS, (name,), len(pools))
    for row in pools[:most]:
        labels = (name, text(row, "database"), text(row, "user"))
        for metric, states in ((CLIENTS, CLIENT_STATES), (SERVERS, SERVER_STATES)):
            for column, state in states.items():
                yield from _sample(metric, (*labels, state), row, column)
        seconds = _number(row, "maxwait")
        if seconds is not None:
            rest = (_number(row, "maxwait_us") or 0.0) * MICROSECONDS
            yield Sample(LONGEST_WAIT, labels, seconds + rest)


def _rank(row: Row) -> tuple[float, float, str, str]:
    waiting, active = _number(row, "cl_waiting") or 0.0, _number(row, "cl_active") or 0.0
    return -waiting, -active, text(row, "database"), text(row, "user")


def _database(labels: tuple[str, str], row: Row) -> Iterator[Sample]:
    """Tell of a row of SHOW DATABASES."""
    told = {RENAMED.get(column, column): value for column, value in row.items()}
    if not _number(told, "max_connections"):
        told.pop("max_connections", None)  # 0: no limit
    for column, metric in GAUGES.items():
        yield from _sample(metric, labels, told, column)


def _of_databases(rows: Rows, column: str) -> list[Row]:
    """Leave out the console's own database."""
    return [row for row in rows if text(row, column) != CONSOLE]


def _sample(
    metric: Metric, labels: tuple[str, ...], row: Row, column: str, scale: float = 1.0
) -> Iterator[Sample]:
    value = _number(row, column)
    if value is not None:
        yield Sample(metric, labels, value * scale)


def _number(row: Row, column: str) -> float | None:
    """Return a column as a number, which the console sends as one or as text."""
    try:
        value = float(text(row, column))
    except ValueError:
        return None
    return value if isfinite(value) else None


def sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    """Return one source for each pgbouncer."""
    made_of = settings.model_copy(update={"poolers": ()})
    links = [(each, Link(each, clients.pgbouncer)) for each in settings.poolers]
    return [
        PolledSource(
            each.name,
            settings.interval,
            settings.timeout,
            Pooler(each.name, link, settings.max_pools).collect,
            made_of=(each, made_of),
            close=link.close,
        )
        for each, link in links
    ]


SPEC = CollectorSpec(
    name="pgbouncer",
    help="Clients, servers, queues and traffic of pgbouncer's pools.",
    settings=Settings,
    metrics=(
        *(UP, INFO, CLIENTS, SERVERS, LONGEST_WAIT, POOLS, LISTED, MAX_CLIENTS),
        *(metric for metric, _ in COUNTERS.values()),
        *GAUGES.values(),
        *(ABSENT, FAILURES),
    ),
    sources=sources,
    kpis=("database_pool_ratio",),
)
