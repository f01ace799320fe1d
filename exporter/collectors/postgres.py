"""Asks PostgreSQL who uses it, what it is busy with, and what it will soon run out of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Self

from pydantic import Field, model_validator

from exporter.contract import Collected, CollectorSpec, PolledSource, Reading, Sample
from exporter.ports import Clients
from exporter.postgres import (
    activity,
    database,
    locks,
    replication,
    server,
    statements,
    tables,
    wal,
)
from exporter.postgres.address import Address, Link, one_name_each
from exporter.postgres.part import Absence, Facts, Limits, Pace, Part, counter, gauge
from exporter.shared.config import Duration, Section
from exporter.shared.errors import TransientError
from exporter.sources import EXPIRES_AFTER
from exporter.sql_port import Database, QueryDelayedError, QueryRefusedError

ABSENT = gauge(
    "kpi_postgres_part_absent",
    "1 for each part of the statistics that could not be read when it was last its turn.",
    *("part", "reason"),
)
FAILURES = counter(
    "kpi_postgres_part_failures_total", "Failed queries for a part of the statistics.", "part"
)

LAST_START = 0.5
"""Share of the pass's timeout after which no query is begun, so that one that is slow ends within
it and what the others brought is kept."""


class DatabaseSettings(Address):
    """One database."""

    whole_server: bool = True
    """Whether this source also tells what concerns the server as a whole (replication, log,
    settings). Of several databases on one server, let one do it."""


class Settings(Section):
    """Which databases are asked, and how often for what."""

    databases: tuple[DatabaseSettings, ...] = ()
    """The databases."""
    interval: Duration = timedelta(seconds=15)
    """Time between two passes."""
    medium_interval: Duration = timedelta(minutes=1)
    """Time between two looks at statements, tables, settings and the log's files."""
    slow_interval: Duration = timedelta(minutes=10)
    """Time between two looks at sizes."""
    timeout: Duration = timedelta(seconds=10)
    """Time that a pass may take, connecting included."""
    statement_timeout: Duration = timedelta(seconds=2)
    """Time after which the server gives up a query of ours."""
    slow_query: Duration = timedelta(seconds=1)
    """Running time from which on a query is slow."""
    window: Duration = timedelta(minutes=5)
    """Time that the KPI of slow queries looks back."""
    applications: int = Field(default=20, ge=0, le=1000)
    """Most applications that are told one by one."""
    replicas: int = Field(default=20, ge=0, le=1000)
    """Most replicas whose lag is told."""
    tables: int = Field(default=20, ge=0, le=1000)
    """Most tables that are told, both of those with dead rows and of large ones."""
    statements: int = Field(default=50, ge=0, le=1000)
    """Most statements that are told one by one."""
    query_text: int = Field(default=0, ge=0, le=1000)
    """Characters of a statement's text that are told (label `query`); 0: none."""
    ignore_roles: tuple[str, ...] = ()
    """Roles whose statements do not count, as the exporter's own."""

    @model_validator(mode="after")
    def _one_name_each(self) -> Self:
        one_name_each(self.databases)
        return self

    def limits(self) -> Limits:
        """Return how much is told."""
        return Limits(
            slow_query=self.slow_query,
            window=self.window,
            applications=self.applications,
            replicas=self.replicas,
            tables=self.tables,
            statements=self.statements,
            query_text=self.query_text,
        )

    def every(self, pace: Pace) -> timedelta:
        """Return the time between two queries of a part."""
        match pace:
            case Pace.EACH:
                return self.interval
            case Pace.MEDIUM:
                return max(self.interval, self.medium_interval)
            case Pace.SLOW:
                return max(self.interval, self.slow_interval)


def parts(settings: Settings) -> tuple[Part, ...]:
    """Return all parts, in the order in which they are asked: what matters most comes first."""
    limits = settings.limits()
    return (
        activity.connections(limits),
        activity.activity(limits),
        locks.blocked(),
        locks.held(),
        database.counted(),
        replication.standby(),
        replication.replicas(limits),
        replication.slots(),
        wal.checkpoints(),
        wal.wal(),
        wal.archiver(),
        statements.statements(limits, settings.ignore_roles),
        tables.vacuum(limits),
        wal.wal_files(),
        server.settings(),
        database.size(),
        database.server_size(),
        tables.sizes(limits),
    )


@dataclass(slots=True)
class Held:
    """A part, and what is known of it."""

    part: Part
    next: float = -inf
    """Monotonic time from which on it is asked again."""
    known_at: float = -inf
    collected: Collected | None = None
    absence: Absence | None = None
    failures: int = 0

    def forget(self) -> None:
        """Drop what is known: the database was away since."""
        self.next, self.collected, self.absence = -inf, None, None

    def samples(self, name: str) -> Iterator[Sample]:
        """Return what is known of the part, and what went wrong with it."""
        if self.collected is not None:
            yield from self.collected.samples
        if self.absence is not None:
            yield Sample(ABSENT, (name, self.part.name, self.absence), 1.0)
        yield Sample(FAILURES, (name, self.part.name), self.failures)


class Server:
    """One database, over one connection that stays."""

    def __init__(self, at: DatabaseSettings, settings: Settings, clients: Clients) -> None:
        self._name = at.name
        self._settings = settings
        self._clock = clients.clock
        self._link: Link[Database] = Link(
            at,
            lambda dsn: clients.database(
                dsn, collector=SPEC.name, statement_timeout=settings.statement_timeout
            ),
        )
        self._held = [
            Held(part) for part in parts(settings) if at.whole_server or not part.of_server
        ]

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def collect(self) -> Collected:
        """Ask for what is due. A database that cannot be reached is a sample of 0, not an error.

        Raises PermanentError when it is ours that is wrong (address, password, rights): nothing is
        known of the database then.
        """
        began = self._clock.monotonic()
        try:
            connection = await self._link.connection()
            known = server.facts((await connection.fetch(server.FACTS))[0])
            for held in self._held:
                if held.next <= began:
                    await self._ask(connection, held, known, began)
        except TransientError:
            for held in self._held:
                held.forget()
            return Collected([Sample(server.UP, (self._name,), 0.0)])
        return self._collected(known)

    async def _ask(self, connection: Database, held: Held, known: Facts, began: float) -> None:
        """Ask for one part. Raises TransientError when the database has gone."""
        part = held.part
        may = not part.needs or part.needs in known.roles
        query = part.query(known) if may else Absence.PRIVILEGE
        # Half an interval early, lest a pass that comes a moment sooner skips its turn.
        every = self._settings.every(part.pace) - self._settings.interval / 2
        if query is None or isinstance(query, Absence):
            held.absence, held.collected = query, None
            held.next = began + every.total_seconds()
            return
        if self._clock.monotonic() - began > LAST_START * self._settings.timeout.total_seconds():
            held.absence = Absence.DEADLINE
            return
        held.next = began + every.total_seconds()
        try:
            rows = await connection.fetch(query, *part.arguments)
        except (QueryDelayedError, QueryRefusedError) as error:
            held.failures += 1
            held.absence = Absence(error.reason)
            return
        held.absence, held.known_at = None, self._clock.monotonic()
        held.collected = part.read(self._name, rows, held.known_at)

    def _collected(self, known: Facts) -> Collected:
        """Put together what is known now; what is too old is dropped."""
        now = self._clock.monotonic()
        samples = server.samples(self._name, known)
        readings: list[Reading] = []
        for held in self._held:
            age = timedelta(seconds=now - held.known_at) if held.collected else timedelta(0)
            every = max(self._settings.every(held.part.pace), self._settings.timeout)
            if age > EXPIRES_AFTER * every:
                held.collected = None
            samples += held.samples(self._name)
            readings += held.collected.readings if held.collected else ()
        return Collected(samples, readings)


def sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    """Return one source for each database."""
    made_of = settings.model_copy(update={"databases": ()})
    servers = [(each, Server(each, settings, clients)) for each in settings.databases]
    return [
        PolledSource(
            each.name,
            settings.interval,
            settings.timeout,
            database.collect,
            made_of=(each, made_of),
            close=database.close,
        )
        for each, database in servers
    ]


SPEC = CollectorSpec(
    name="postgres",
    help="Use, work, waits, replication, log, tables and statements of PostgreSQL databases.",
    settings=Settings,
    metrics=(
        *server.METRICS,
        *activity.METRICS,
        *locks.METRICS,
        *database.METRICS,
        *replication.METRICS,
        *wal.METRICS,
        *tables.METRICS,
        *statements.METRICS,
        *(ABSENT, FAILURES),
    ),
    sources=sources,
    kpis=(
        "database_connections_ratio",
        "database_query_time",
        "database_slow_queries",
        "database_size",
        "database_growth",
    ),
)
