"""Publishes figures of the business that a query of yours counts: orders, users, open tasks."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from exporter.contract import Collected, CollectorSpec, Metric, PolledSource, Reading, Sample
from exporter.naming import label_complaint, metric_complaint
from exporter.ports import Clients
from exporter.postgres.address import Address, Link, one_name_each
from exporter.postgres.part import Row, Rows, number, text
from exporter.shared.config import Duration, Section, nearest
from exporter.shared.errors import PermanentError
from exporter.sql_port import Database

PREFIX = "kpi_sql_"
"""What the families' names begin with: no other collector's do, so that names cannot clash."""

DATABASE = "database"
"""Label of every series: the name of the database that was asked."""

KPIS = ("tasks_created_per_day", "active_users")
"""KPIs of the catalogue that a query can give; all are of a database."""

LABEL_LENGTH = 200
"""Longest value of a label; a longer one is no label but a text."""

_SELECTS = re.compile(r"\s*(?:select|with|values|table)\b", re.IGNORECASE)


class Value(Section):
    """A column of the answer that is published: as a family of your own, or as a KPI."""

    column: str = "value"
    """Name of the column; numbers, times (Unix seconds), intervals (seconds) and truth values
    (1, 0) can be published, NULL is unknown."""
    name: str | None = None
    """Name of the family; begins with `kpi_sql_`, in base units, `_total` for counters."""
    help: str = ""
    """What the family tells, for people."""
    kind: Literal["gauge", "counter"] = "gauge"
    """A counter never falls, unless it begins anew."""
    kpi: str | None = None
    """Name of a KPI instead of a family."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.name is None) == (self.kpi is None):
            raise ValueError("give either name or kpi")
        if self.kpi is not None and self.kpi not in KPIS:
            raise ValueError(
                f"{self.kpi!r} is no KPI that a query gives; {nearest(self.kpi, KPIS)}"
            )
        if self.name is None:
            return self
        if not self.name.startswith(PREFIX):
            raise ValueError(f"{self.name!r} does not begin with {PREFIX}")
        if complaint := metric_complaint(self.name, self.kind):
            raise ValueError(complaint)
        if not self.help.strip():
            raise ValueError(f"{self.name!r} has no help")
        return self


class Query(Section):
    """A query, and what its answer means."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    """Name of the source: what a failure is told under."""
    database: str
    """Which of the databases is asked."""
    sql: str
    """A SELECT. It runs in a read-only transaction, with UTC as the time zone."""
    labels: tuple[str, ...] = ()
    """Columns that become labels."""
    values: tuple[Value, ...]
    """Columns that are published. A column that is neither a label nor a value fails the query."""
    max_rows: int = Field(default=100, ge=1, le=10_000)
    """More rows than this fail the query."""
    interval: Duration = timedelta(minutes=1)
    """Time between two passes."""
    timeout: Duration = timedelta(seconds=5)
    """Time after which the server gives the query up."""

    @field_validator("sql")
    @classmethod
    def _reads(cls, value: str) -> str:
        if not _SELECTS.match(value):
            raise ValueError("begins with neither SELECT nor WITH")
        return value

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for label in value:
            if complaint := label_complaint(label):
                raise ValueError(complaint)
        if DATABASE in value:
            raise ValueError(f"the label {DATABASE!r} is there by itself")
        return value

    @model_validator(mode="after")
    def _has_values_in_different_columns(self) -> Self:
        if not self.values:
            raise ValueError("no value is declared")
        columns = [*self.labels, *(value.column for value in self.values)]
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            raise ValueError(f"the column {twice[0]!r} is declared twice")
        if self.labels and any(value.kpi for value in self.values):
            raise ValueError("a KPI has no labels but the database")
        return self

    def families(self) -> dict[str, Metric]:
        """Return the family of each value that has one, by column."""
        labels = (DATABASE, *self.labels)
        return {
            value.column: Metric(value.name, value.help, value.kind, labels)
            for value in self.values
            if value.name is not None
        }


class Settings(Section):
    """Which queries are asked of which databases."""

    databases: tuple[Address, ...] = ()
    """The databases; let the role that asks have SELECT and nothing else."""
    queries: tuple[Query, ...] = ()
    """The queries; each is a source of its own, those of one database wait for each other."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        one_name_each(self.databases)
        _once("queries", (query.name for query in self.queries))
        kpis = [(q.database, v.kpi) for q in self.queries for v in q.values if v.kpi]
        _once("queries for a KPI", (f"{kpi} of {database}" for database, kpi in kpis))
        known = {database.name for database in self.databases}
        declared: dict[str, Metric] = {}
        for query in self.queries:
            if query.database not in known:
                raise ValueError(
                    f"query {query.name} asks {query.database!r}; {nearest(query.database, known)}"
                )
            for family in query.families().values():
                # For OpenMetrics a counter's name is the one without _total.
                if declared.setdefault(family.name.removesuffix("_total"), family) != family:
                    raise ValueError(f"{family.name} is declared twice, and not alike")
        return self


def _once(what: str, names: Iterable[str]) -> None:
    """Raise ValueError when a name is there twice."""
    seen = list(names)
    twice = sorted({name for name in seen if seen.count(name) > 1})
    if twice:
        raise ValueError(f"two {what} are called {twice[0]}")


class Asked:
    """One query, over the connection that it shares with the others of its database."""

    def __init__(self, query: Query, link: Link[Database]) -> None:
        self._query = query
        self._link = link

    async def collect(self) -> Collected:
        """Ask once. Raises PermanentError when the answer is not what was declared."""
        query = self._query
        connection = await self._link.connection()
        rows = await connection.fetch_some(query.sql, rows=query.max_rows + 1, within=query.timeout)
        return published(query, rows)


def published(query: Query, rows: Rows) -> Collected:
    """Turn an answer into what is published. Raises PermanentError, naming what does not fit."""
    if len(rows) > query.max_rows:
        raise PermanentError(f"query {query.name}: more than {query.max_rows} rows")
    families = query.families()
    samples: list[Sample] = []
    readings: list[Reading] = []
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        labels = _labels(query, row)
        if labels in seen:
            raise PermanentError(f"query {query.name}: two rows have the same labels")
        seen.add(labels)
        for value in query.values:
            figure = _figure(query, row, value.column)
            if figure is None:
                continue
            if value.kpi is not None:
                readings.append(Reading(value.kpi, ((DATABASE, query.database),), figure))
            else:
                samples.append(Sample(families[value.column], labels, figure))
    return Collected(samples, readings)


def _labels(query: Query, row: Row) -> tuple[str, ...]:
    """Return the label values of a row, whose columns must be those that were declared."""
    declared = {*query.labels, *(value.column for value in query.values)}
    if strange := row.keys() - declared:
        raise PermanentError(f"query {query.name}: column {min(strange)!r} is not declared")
    if missing := declared - row.keys():
        raise PermanentError(f"query {query.name}: column {min(missing)!r} is missing")
    labels = (query.database, *(text(row, label) for label in query.labels))
    if any(len(label) > LABEL_LENGTH for label in labels):
        raise PermanentError(
            f"query {query.name}: a label is longer than {LABEL_LENGTH} characters"
        )
    return labels


def _figure(query: Query, row: Row, column: str) -> float | None:
    """Return a column as a number, None where it is NULL."""
    if row[column] is None:
        return None
    figure = number(row, column)
    if figure is None:
        raise PermanentError(f"query {query.name}: column {column!r} is not a number")
    return figure


def families(settings: Settings) -> tuple[Metric, ...]:
    """Return the families that the queries name, each once."""
    found: Mapping[str, Metric] = {
        family.name: family for query in settings.queries for family in query.families().values()
    }
    return tuple(found.values())


def sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    """Return one source for each query; those of a database share its one connection."""
    made: list[PolledSource] = []
    for database in settings.databases:
        queries = [query for query in settings.queries if query.database == database.name]
        # One that waits for its turn waits for all the others at worst.
        together = sum((query.timeout for query in queries), timedelta(0))
        link = _link(database, clients, together)
        made += [
            PolledSource(
                query.name, query.interval, together, Asked(query, link).collect, close=link.close
            )
            for query in queries
        ]
    return made


def _link(database: Address, clients: Clients, limit: timedelta) -> Link[Database]:
    def connect(dsn: str) -> Database:
        return clients.database(dsn, collector=SPEC.name, statement_timeout=limit)

    return Link(database, connect)


SPEC = CollectorSpec(
    name="sql_kpi",
    help="Figures of the business, counted by queries of yours.",
    settings=Settings,
    metrics=(),
    sources=sources,
    kpis=KPIS,
    families=families,
)
