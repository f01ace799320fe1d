"""Locks that are held, and who waits for them."""

from exporter.contract import Collected, Sample
from exporter.postgres.part import OTHER, Part, Rows, always, gauge, number, text, versions

HELD = gauge(
    "kpi_postgres_locks", "Locks that sessions hold in the database, by mode of the lock.", "mode"
)
BLOCKED = gauge(
    "kpi_postgres_blocked_connections", "Sessions of the database that wait for a lock."
)
BLOCKING = gauge(
    "kpi_postgres_blocking_connections", "Sessions that those waiting for a lock wait for."
)
LONGEST_WAIT = gauge(
    "kpi_postgres_longest_lock_wait_seconds",
    "Time that a session has waited for a lock; 0 when none waits. Before PostgreSQL 14 the time "
    "of its query so far.",
)

METRICS = (HELD, BLOCKED, BLOCKING, LONGEST_WAIT)

# PostgreSQL's manual, "Table-Level Lock Modes"; SIReadLock is of serializable transactions.
MODES = (
    *("AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock"),
    *("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock", "SIReadLock"),
)

_HELD_QUERY = """
SELECT mode, count(*) AS locks
FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE datname = current_database() AND granted AND pid <> pg_backend_pid()
GROUP BY mode
"""

# Who blocks whom is asked of a hundred sessions at most: each answer stops the whole lock table
# for a moment. A wait for a row is one for a transaction, which belongs to no database.
_BLOCKED_QUERY = """
SELECT clock_timestamp() - since AS waited,
       CASE WHEN row_number() OVER () <= 100 THEN pg_blocking_pids(pid) END AS blockers
FROM (SELECT pg_stat_activity.pid, min({since}) AS since
      FROM pg_locks JOIN pg_stat_activity ON pg_stat_activity.pid = pg_locks.pid
      WHERE NOT granted AND datname = current_database()
      GROUP BY 1) AS waiting
"""


def held() -> Part:
    """Return the part that counts the locks that are held."""
    return Part("locks", always(_HELD_QUERY), _held)


def blocked() -> Part:
    """Return the part that tells who waits for a lock."""
    query = versions(
        {
            13: _BLOCKED_QUERY.format(since="query_start"),
            14: _BLOCKED_QUERY.format(since="waitstart"),
        }
    )
    return Part("blocked", query, _blocked)


def _held(database: str, rows: Rows, _at: float) -> Collected:
    counts = dict.fromkeys((*MODES, OTHER), 0.0)
    for row in rows:
        mode = text(row, "mode")
        counts[mode if mode in counts else OTHER] += number(row, "locks") or 0.0
    return Collected([Sample(HELD, (database, mode), count) for mode, count in counts.items()])


def _blocked(database: str, rows: Rows, _at: float) -> Collected:
    label = (database,)
    blockers: set[object] = set()
    for row in rows:
        found = row.get("blockers")
        blockers.update(found if isinstance(found, list) else ())
    samples = [Sample(BLOCKED, label, len(rows)), Sample(BLOCKING, label, len(blockers))]
    waits = [max(wait, 0.0) for row in rows if (wait := number(row, "waited")) is not None]
    if waits or not rows:  # where every wait is hidden, the longest is unknown
        samples.append(Sample(LONGEST_WAIT, label, max(waits, default=0.0)))
    return Collected(samples)
