"""What a part of the statistics is: a query that depends on the server, and what its rows mean."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from math import isfinite

from exporter.contract import Collected, Metric, Sample

Row = Mapping[str, object]
Rows = Sequence[Row]

OTHER = "Other"
"""Label value of all that is not told one by one."""

SEES_ALL = "pg_read_all_stats"
"""The role (part of pg_monitor) without which other roles' sessions and statements are hidden."""

MONITOR = "pg_monitor"
"""The role that may also look at the server's files."""


class Pace(Enum):
    """How often a part is asked."""

    EACH = "each pass"
    MEDIUM = "medium_interval"
    SLOW = "slow_interval"


class Absence(StrEnum):
    """Why nothing is known of a part, as a label."""

    PRIVILEGE = "privilege"
    """Our role may not look; grant it pg_monitor."""
    MISSING = "missing"
    """The extension or object is not there."""
    UNSUPPORTED = "unsupported"
    """This version of the server does not count it."""
    DEADLINE = "deadline"
    """The pass had no time left for it."""
    LOCK = "lock"
    """Somebody's lock was in the way."""
    TIMEOUT = "timeout"
    """The server gave the query up."""
    READ_ONLY = "read_only"
    """The query would have written."""
    OTHER = OTHER


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server said of itself in this pass, on which the queries depend."""

    version: int
    """Major version: 15."""
    release: str
    """Version in full: 15.18."""
    started: float | None
    """Unix time of its start."""
    standby: bool
    """True while it replays another server's log."""
    roles: frozenset[str]
    """Those of SEES_ALL and MONITOR whose rights we have."""
    statements: tuple[int, ...] | None = None
    """Version of pg_stat_statements in this database, (1, 10); None where it is not."""
    statements_schema: str = ""
    """Its schema, quoted."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of each part is told; the collector's settings of these names explain them."""

    slow_query: timedelta
    window: timedelta
    applications: int
    replicas: int
    tables: int
    statements: int
    query_text: int


Query = Callable[[Facts], str | Absence | None]
"""Chooses a query for a server: its text, why there is none, or None where nothing is to be known
(a primary follows nobody)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of what is known of a database: it is there as a whole, or absent with a reason."""

    name: str
    query: Query
    """The query for such a server."""
    read: Callable[[str, Rows, float], Collected]
    """Turns rows into what is published of the database so labelled; the third argument is the
    monotonic time in seconds. A part that keeps something from pass to pass keeps it behind this.
    Called once for each answer."""
    arguments: tuple[object, ...] = ()
    """Values of the query's parameters."""
    pace: Pace = Pace.EACH
    needs: str = ""
    """Role without which the answer would be wrong, or refused."""
    of_server: bool = False
    """True when it tells of the server as a whole and not of this database."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose value is published as it is, but for its unit."""

    name: str
    metric: Metric
    scale: float = 1.0
    """What the value is multiplied by to be in the metric's base unit."""


def gauge(name: str, text: str, *labels: str) -> Metric:
    """Declare a gauge about a database."""
    return Metric(name, text, "gauge", ("database", *labels))


def counter(name: str, text: str, *labels: str) -> Metric:
    """Declare a counter about a database."""
    return Metric(name, text, "counter", ("database", *labels))


def versions(table: Mapping[int, str]) -> Query:
    """Choose the query of the newest major version that is not newer than the server's."""

    def choose(facts: Facts) -> str | Absence:
        known = [version for version in table if version <= facts.version]
        return table[max(known)] if known else Absence.UNSUPPORTED

    return choose


def always(query: str) -> Query:
    """Ask every server the same."""
    return lambda _facts: query


def values(table: Iterable[Column], labels: tuple[str, ...], row: Row) -> Iterator[Sample]:
    """Publish the columns of a row; what is NULL, or no column of this version, is left out."""
    for column in table:
        value = number(row, column.name)
        if value is not None:
            yield Sample(column.metric, labels, value * column.scale)


def one_row(table: Sequence[Column]) -> Callable[[str, Rows, float], Collected]:
    """Return the reader of a query that answers with one row of such columns."""

    def read(database: str, rows: Rows, _at: float) -> Collected:
        return Collected([sample for row in rows[:1] for sample in values(table, (database,), row)])

    return read


def number(row: Row, column: str) -> float | None:
    """Return a column as a number; None where it is NULL, absent, or no number at all.

    A time becomes Unix seconds, an interval seconds, a truth value 1 or 0.
    """
    value = row.get(column)
    match value:
        case bool() | int() | float() | Decimal():
            found = float(value)
        case datetime():
            found = value.timestamp()
        case timedelta():
            found = value.total_seconds()
        case _:
            return None
    return found if isfinite(found) else None


def text(row: Row, column: str) -> str:
    """Return a column as text, a truth value as PostgreSQL writes it; empty where it is NULL."""
    value = row.get(column)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def top(counts: Mapping[str, float], most: int) -> dict[str, float]:
    """Keep the `most` largest counts under their names, and sum up the rest as OTHER."""
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    told = {name: counts[name] for name in ranked[:most]}
    if len(ranked) > most:
        told[OTHER] = told.get(OTHER, 0.0) + sum(counts[name] for name in ranked[most:])
    return told
