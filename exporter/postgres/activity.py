"""Who is connected, what they do, and for how long."""

from collections import Counter, deque
from dataclasses import dataclass, field

from exporter.contract import Collected, Reading, Sample
from exporter.postgres.part import (
    OTHER,
    SEES_ALL,
    Limits,
    Part,
    Row,
    Rows,
    always,
    counter,
    gauge,
    number,
    text,
    top,
)

CONNECTIONS = gauge(
    "kpi_postgres_connections",
    "Client connections to the database, the exporter's own included.",
    "state",
)
APPLICATIONS = gauge(
    "kpi_postgres_application_connections",
    "Client connections to the database by application_name, the most frequent ones and Other.",
    "application",
)
USED = gauge(
    "kpi_postgres_connections_used",
    "Client connections to all databases of the server: what counts against the limit.",
)
LIMIT = gauge(
    "kpi_postgres_max_connections",
    "Connections that ordinary roles may hold: max_connections less the reserved ones.",
)

WAITING = gauge(
    "kpi_postgres_waiting_connections",
    "Client connections that are at work and wait, by what for (wait_event_type).",
    "wait_event_type",
)
OLDEST_TRANSACTION = gauge(
    "kpi_postgres_oldest_transaction_seconds",
    "Age of the oldest open transaction of a client; 0 when there is none.",
)
OLDEST_QUERY = gauge(
    "kpi_postgres_oldest_query_seconds",
    "Time that the longest running query of a client has taken; 0 when there is none.",
)
OLDEST_IDLE = gauge(
    "kpi_postgres_oldest_idle_in_transaction_seconds",
    "Time that a client has done nothing within an open transaction; 0 when there is none.",
)
SLOW = gauge(
    "kpi_postgres_slow_queries_running",
    "Queries of clients that have run longer than slow_query by now.",
)
SLOW_SEEN = counter(
    "kpi_postgres_slow_queries_total",
    "Queries that were seen to run longer than slow_query, each once. One that starts and ends "
    "between two passes is not seen.",
)

METRICS = (
    *(CONNECTIONS, APPLICATIONS, USED, LIMIT, WAITING),
    *(OLDEST_TRANSACTION, OLDEST_QUERY, OLDEST_IDLE, SLOW, SLOW_SEEN),
)

STATES = {
    "active": "active",
    "idle": "idle",
    "idle in transaction": "idle_in_transaction",
    "idle in transaction (aborted)": "idle_in_transaction_aborted",
}
"""State in pg_stat_activity → value of the label; whatever else there is becomes OTHER_STATE."""

OTHER_STATE = "other"

UNNAMED = "unnamed"
"""Label value of clients that set no application_name."""

# PostgreSQL's manual, table "Wait Event Types".
WAITS = (
    *("Activity", "BufferPin", "Client", "Extension", "IO", "IPC", "Lock", "LWLock", "Timeout"),
    OTHER,
)

# Who may not see another role's session gets no backend_type and no state for it; a session that
# has a user is then taken for a client's. reserved_connections came with PostgreSQL 16.
_CONNECTIONS_QUERY = """
SELECT state, application_name, datname = current_database() AS here, count(*) AS connections,
       current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable
FROM pg_stat_activity
WHERE backend_type = 'client backend'
   OR (backend_type IS NULL AND datid IS NOT NULL AND usesysid IS NOT NULL)
GROUP BY 1, 2, 3
"""

_ACTIVITY_QUERY = """
SELECT pid, state, wait_event_type, query_start,
       clock_timestamp() - xact_start AS transaction_age,
       clock_timestamp() - query_start AS query_age,
       clock_timestamp() - state_change AS state_age
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND datname = current_database()
  AND pid <> pg_backend_pid() AND (state <> 'idle' OR xact_start IS NOT NULL)
"""


def connections(limits: Limits) -> Part:
    """Return the part that counts connections, which every role may see."""

    def read(database: str, rows: Rows, _at: float) -> Collected:
        return _connections(database, rows, limits.applications)

    return Part("connections", always(_CONNECTIONS_QUERY), read)


def activity(limits: Limits) -> Part:
    """Return the part that tells what the clients do."""
    return Part("activity", always(_ACTIVITY_QUERY), _Activity(limits).read, needs=SEES_ALL)


def _connections(database: str, rows: Rows, most: int) -> Collected:
    used, usable = 0.0, 0.0
    here = dict.fromkeys((*STATES.values(), OTHER_STATE), 0.0)
    applications: Counter[str] = Counter()
    for row in rows:
        count = number(row, "connections") or 0.0
        used += count
        usable = number(row, "usable") or 0.0
        if row["here"]:
            here[STATES.get(text(row, "state"), OTHER_STATE)] += count
            applications[text(row, "application_name") or UNNAMED] += int(count)
    samples = [
        *(Sample(CONNECTIONS, (database, state), count) for state, count in here.items()),
        *(
            Sample(APPLICATIONS, (database, name), count)
            for name, count in top(applications, most).items()
        ),
        Sample(USED, (database,), used),
    ]
    if usable <= 0:  # all connections are reserved: there is no limit to compare with
        return Collected(samples)
    samples.append(Sample(LIMIT, (database,), usable))
    ratio = Reading("database_connections_ratio", (("database", database),), used / usable)
    return Collected(samples, [ratio])


@dataclass(slots=True)
class _Activity:
    """What the clients do, and which slow queries were seen."""

    limits: Limits
    seen: float = 0.0
    running: frozenset[tuple[object, object]] = frozenset()
    """The slow queries of the pass before: process and start."""
    new: deque[tuple[float, int]] = field(default_factory=deque)
    """When slow queries were first seen, and how many, within the window."""

    def read(self, database: str, rows: Rows, at: float) -> Collected:
        """Return ages, waits and slow queries."""
        active = [row for row in rows if row.get("state") == "active"]
        slow = frozenset(
            (row.get("pid"), row.get("query_start"))
            for row in active
            if _seconds(row, "query_age") >= self.limits.slow_query.total_seconds()
        )
        self._count(slow, at)
        waits = Counter(_wait(row) for row in active)
        idle = [row for row in rows if text(row, "state").startswith("idle in transaction")]
        label = (database,)
        samples = [
            *(Sample(WAITING, (database, kind), waits[kind]) for kind in WAITS),
            Sample(OLDEST_TRANSACTION, label, _oldest(rows, "transaction_age")),
            Sample(OLDEST_QUERY, label, _oldest(active, "query_age")),
            Sample(OLDEST_IDLE, label, _oldest(idle, "state_age")),
            Sample(SLOW, label, len(slow)),
            Sample(SLOW_SEEN, label, self.seen),
        ]
        recent = sum(count for _, count in self.new)
        reading = Reading("database_slow_queries", (("database", database),), recent)
        return Collected(samples, [reading])

    def _count(self, slow: frozenset[tuple[object, object]], at: float) -> None:
        """Count the slow queries that the pass before did not see."""
        new = len(slow - self.running)
        self.running = slow
        self.seen += new
        self.new.append((at, new))
        while self.new[0][0] <= at - self.limits.window.total_seconds():
            self.new.popleft()


def _wait(row: Row) -> str:
    """Return what an active session waits for; empty when it does not."""
    kind = text(row, "wait_event_type")
    return kind if kind in WAITS or not kind else OTHER


def _oldest(rows: Rows, column: str) -> float:
    return max((_seconds(row, column) for row in rows), default=0.0)


def _seconds(row: Row, column: str) -> float:
    """Return an age; one that the server does not know (yet) is none."""
    return max(number(row, column) or 0.0, 0.0)
