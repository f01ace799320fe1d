"""Which statements take the database's time, from pg_stat_statements where that is installed."""

import re
from dataclasses import dataclass, field

import msgspec

from exporter.contract import Collected, Reading, Sample
from exporter.postgres.part import (
    OTHER,
    SEES_ALL,
    Absence,
    Facts,
    Limits,
    Pace,
    Part,
    Row,
    Rows,
    counter,
    gauge,
    number,
    text,
)

CALLS = counter(
    "kpi_postgres_statement_calls_total",
    "Executions of the statements that take the most time, and of all Other ones together.",
    "query_id",
)
SECONDS = counter(
    "kpi_postgres_statement_seconds_total",
    "Time taken by the statements that take the most, and by all Other ones together.",
    "query_id",
)
ROWS = counter(
    "kpi_postgres_statement_rows_total",
    "Rows returned or changed by the statements that take the most time, and by all Other ones.",
    "query_id",
)
BLOCKS_READ = counter(
    "kpi_postgres_statement_blocks_read_total",
    "Blocks read from outside the cache by the statements that take the most time, and by all "
    "Other ones.",
    "query_id",
)
TEXT = gauge(
    "kpi_postgres_statement_info",
    "Always 1; tells the beginning of a statement's text, where query_text asks for it.",
    *("query_id", "query"),
)
KNOWN = gauge("kpi_postgres_statements", "Statements of the database that statistics are kept of.")
SLOW = gauge(
    "kpi_postgres_slow_statements",
    "Statements whose mean time, since statistics are kept, is longer than slow_query.",
)
FORGOTTEN = counter(
    "kpi_postgres_statements_forgotten_total",
    "Times that the statistics of rare statements were dropped because pg_stat_statements.max was "
    "reached; counted since PostgreSQL 14.",
)

METRICS = (CALLS, SECONDS, ROWS, BLOCKS_READ, TEXT, KNOWN, SLOW, FORGOTTEN)

MOST = 5000
"""Statements that are read, by time taken; pg_stat_statements.max is as many by default."""

RETIRED = 1000
"""Statements that were told once whose counts are kept, in case they are told again."""

OLDEST = (1, 8)
"""With PostgreSQL 13; before, times of planning and execution were one."""

TOPLEVEL = (1, 9)
"""From here on a statement within a function is told apart; its time is in the function's, too."""

_QUERY = """
SELECT queryid, sum(calls)::float8 AS calls, sum(total_exec_time) / 1000 AS seconds,
       sum(rows)::float8 AS rows, sum(shared_blks_read)::float8 AS blocks_read,
       {text} AS query, {info}
FROM {schema}.pg_stat_statements({with_text})
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND userid <> ALL (ARRAY(SELECT oid FROM pg_roles WHERE rolname = ANY($1)))
  {toplevel}
GROUP BY queryid
ORDER BY seconds DESC
LIMIT $2
"""

_INFO = """
       (SELECT dealloc FROM {schema}.pg_stat_statements_info) AS forgotten,
       (SELECT extract(epoch FROM stats_reset)::float8
        FROM {schema}.pg_stat_statements_info) AS reset"""

_NO_INFO = "NULL::bigint AS forgotten, NULL::float8 AS reset"

_LEADING_COMMENTS = re.compile(r"(?:\s*(?:--[^\n]*(?:\n|$)|/\*.*?\*/))+", re.DOTALL)

# What a statement that changes no rows says can be a password.
_SHOWN = re.compile(r"(?:select|insert|update|delete|merge|with|values|table)\b", re.IGNORECASE)


class Counts(msgspec.Struct, frozen=True, gc=False):
    """What is counted of a statement; a Struct, for thousands are made in each pass."""

    calls: float
    seconds: float
    rows: float
    blocks_read: float

    def plus(self, other: "Counts") -> "Counts":
        """Return the sums."""
        return Counts(
            self.calls + other.calls,
            self.seconds + other.seconds,
            self.rows + other.rows,
            self.blocks_read + other.blocks_read,
        )

    def since(self, before: "Counts | None") -> "Counts":
        """Return what was counted since; where a count is smaller now, it began anew."""
        if before is None:
            return self
        grown = Counts(
            self.calls - before.calls,
            self.seconds - before.seconds,
            self.rows - before.rows,
            self.blocks_read - before.blocks_read,
        )
        return self if min(msgspec.structs.astuple(grown)) < 0 else grown


NOTHING = Counts(0.0, 0.0, 0.0, 0.0)

Known = dict[object, Counts]
"""Counts by query id; None stands for the statements that have none."""


def statements(limits: Limits, ignore_roles: tuple[str, ...]) -> Part:
    """Return the part about statements; those of `ignore_roles` do not count."""

    def query(facts: Facts) -> str | Absence:
        if facts.statements is None:
            return Absence.MISSING
        if facts.statements < OLDEST:
            return Absence.UNSUPPORTED
        told_apart = facts.statements >= TOPLEVEL
        return _QUERY.format(
            schema=facts.statements_schema,
            text=_text_column(limits),
            with_text="true" if limits.query_text else "false",
            info=_INFO.format(schema=facts.statements_schema) if told_apart else _NO_INFO,
            toplevel="AND toplevel" if told_apart else "",
        )

    return Part(
        "statements",
        query,
        _Statements(limits).read,
        arguments=(list(ignore_roles), MOST),
        pace=Pace.MEDIUM,
        needs=SEES_ALL,
    )


def _text_column(limits: Limits) -> str:
    """Return the column with the text of those statements that are told; a comment may precede."""
    if not limits.query_text:
        return "NULL"
    rank = "row_number() OVER (ORDER BY sum(total_exec_time) DESC)"
    return f"CASE WHEN {rank} <= {limits.statements} THEN left(min(query), 1000) END"


@dataclass(slots=True)
class _Statements:
    """What was counted under each statement's name, and under that of all others.

    Each increase is counted once: under the statement's own name where it is told in this pass and
    was in the one before, else under OTHER. So rates add up to the database's whatever statements
    come and go, and a statement that is told anew makes no peak.
    """

    limits: Limits
    before: Known | None = None
    """All statements as the last pass saw them; None before the first."""
    reset: object = None
    told: Known = field(default_factory=dict)
    retired: Known = field(default_factory=dict)
    other: Counts = NOTHING

    def read(self, database: str, rows: Rows, _at: float) -> Collected:
        """Count what came since the last pass."""
        now = {row.get("queryid"): _counts(row) for row in rows}
        grown = self._grown(now, rows)
        top = [name for name in now if name is not None]  # rows come by time taken
        self._count(top[: self.limits.statements], now, grown)
        self.before = now
        samples = [*self._samples(database, now, rows), *self._texts(database, rows)]
        calls = sum(counts.calls for counts in grown.values())
        if calls <= 0:
            return Collected(samples)
        mean = sum(counts.seconds for counts in grown.values()) / calls
        subject = (("database", database),)
        return Collected(samples, [Reading("database_query_time", subject, mean)])

    def _grown(self, now: Known, rows: Rows) -> Known:
        """Return what was counted since the pass before, of those statements that were called.

        At the first pass that is all since statistics are kept.
        """
        reset = rows[0].get("reset") if rows else self.reset
        anew = self.before is None or reset != self.reset
        before = {} if anew else self.before or {}
        self.reset = reset
        # Where not all could be read, one that was not there before need not be new.
        whole = anew or len(before) < MOST
        return {
            name: counts.since(then)
            for name, counts in now.items()
            if (then := before.get(name)) != counts and (whole or then is not None)
        }

    def _count(self, top: list[object], now: Known, grown: Known) -> None:
        """Put each increase under one name."""
        told: Known = {}
        for name in top:
            if name in self.told:
                told[name] = self.told[name].plus(grown.get(name, NOTHING))
            else:
                told[name] = self.retired.pop(name, now[name])
        own = top if self.before is None else told.keys() & self.told.keys()
        for name in grown.keys() - own:
            self.other = self.other.plus(grown[name])
        self.retired |= {name: self.told[name] for name in self.told.keys() - told.keys()}
        while len(self.retired) > RETIRED:
            del self.retired[next(iter(self.retired))]
        self.told = told

    def _samples(self, database: str, now: Known, rows: Rows) -> list[Sample]:
        found: list[Sample] = []
        for name, counts in (*self.told.items(), (OTHER, self.other)):
            labels = (database, str(name))
            found += [
                Sample(CALLS, labels, counts.calls),
                Sample(SECONDS, labels, counts.seconds),
                Sample(ROWS, labels, counts.rows),
                Sample(BLOCKS_READ, labels, counts.blocks_read),
            ]
        bound = self.limits.slow_query.total_seconds()
        slow = sum(counts.seconds > bound * counts.calls for counts in now.values())
        found += [Sample(KNOWN, (database,), len(now)), Sample(SLOW, (database,), slow)]
        forgotten = number(rows[0], "forgotten") if rows else None
        if forgotten is not None:
            found.append(Sample(FORGOTTEN, (database,), forgotten))
        return found

    def _texts(self, database: str, rows: Rows) -> list[Sample]:
        return [
            Sample(TEXT, (database, text(row, "queryid"), shown), 1.0)
            for row in rows[: self.limits.statements]
            if row.get("queryid") in self.told
            and (shown := shorten(text(row, "query"), self.limits.query_text))
        ]


def shorten(query: str, most: int) -> str:
    """Return the first `most` characters of a statement, on one line, its leading comments cut.

    Of one that is no query only the first word: it may go on with a password.
    """
    comments = _LEADING_COMMENTS.match(query)
    plain = " ".join(query[comments.end() if comments else 0 :].split())
    return plain[:most] if _SHOWN.match(plain) else plain.partition(" ")[0][:most]


def _counts(row: Row) -> Counts:
    """Return what a row counts, 0 where unknown; of thousands of rows all are floats already."""
    calls, seconds = row.get("calls"), row.get("seconds")
    rows, blocks = row.get("rows"), row.get("blocks_read")
    if (
        isinstance(calls, float)
        and isinstance(seconds, float)
        and isinstance(rows, float)
        and isinstance(blocks, float)
    ):
        return Counts(calls, seconds, rows, blocks)
    return Counts(*(number(row, column) or 0.0 for column in Counts.__struct_fields__))
