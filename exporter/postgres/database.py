"""What the server has counted of this database, and how large it is."""

from collections import deque
from dataclasses import dataclass, field

from exporter.contract import Collected, Reading, Sample
from exporter.postgres.part import (
    SEES_ALL,
    Column,
    Pace,
    Part,
    Rows,
    always,
    counter,
    gauge,
    number,
    one_row,
    versions,
)

MILLISECONDS = 1e-3

COUNTED = (
    Column("xact_commit", counter("kpi_postgres_commits_total", "Transactions committed.")),
    Column("xact_rollback", counter("kpi_postgres_rollbacks_total", "Transactions rolled back.")),
    Column(
        "blks_hit", counter("kpi_postgres_blocks_hit_total", "Blocks found in the server's cache.")
    ),
    Column(
        "blks_read",
        counter("kpi_postgres_blocks_read_total", "Blocks read from outside the cache."),
    ),
    Column(
        "tup_returned",
        counter(
            "kpi_postgres_rows_returned_total", "Live rows read by scans of tables or indexes."
        ),
    ),
    Column(
        "tup_fetched", counter("kpi_postgres_rows_fetched_total", "Rows fetched through an index.")
    ),
    Column("tup_inserted", counter("kpi_postgres_rows_inserted_total", "Rows inserted.")),
    Column("tup_updated", counter("kpi_postgres_rows_updated_total", "Rows updated.")),
    Column("tup_deleted", counter("kpi_postgres_rows_deleted_total", "Rows deleted.")),
    Column(
        "temp_files",
        counter("kpi_postgres_temp_files_total", "Files that queries wrote for want of memory."),
    ),
    Column(
        "temp_bytes",
        counter("kpi_postgres_temp_bytes_total", "Bytes that queries wrote for want of memory."),
    ),
    Column("deadlocks", counter("kpi_postgres_deadlocks_total", "Deadlocks found and broken.")),
    Column(
        "conflicts",
        counter(
            "kpi_postgres_conflicts_total",
            "Queries of a standby that were cancelled because the primary's log had to go on.",
        ),
    ),
    Column(
        "checksum_failures",
        counter(
            "kpi_postgres_checksum_failures_total",
            "Blocks whose checksum was wrong; absent where checksums are off.",
        ),
    ),
    Column(
        "blk_read_time",
        counter(
            "kpi_postgres_block_read_seconds_total",
            "Time spent reading blocks; absent while track_io_timing is off.",
        ),
        MILLISECONDS,
    ),
    Column(
        "blk_write_time",
        counter(
            "kpi_postgres_block_write_seconds_total",
            "Time spent writing blocks; absent while track_io_timing is off.",
        ),
        MILLISECONDS,
    ),
    Column(
        "session_time",
        counter("kpi_postgres_session_seconds_total", "Time that sessions were connected."),
        MILLISECONDS,
    ),
    Column(
        "active_time",
        counter("kpi_postgres_active_seconds_total", "Time that sessions were at work."),
        MILLISECONDS,
    ),
    Column(
        "idle_in_transaction_time",
        counter(
            "kpi_postgres_idle_in_transaction_seconds_total",
            "Time that sessions did nothing within an open transaction.",
        ),
        MILLISECONDS,
    ),
    Column("sessions", counter("kpi_postgres_sessions_total", "Sessions begun.")),
    Column(
        "sessions_abandoned",
        counter("kpi_postgres_sessions_abandoned_total", "Sessions whose client was lost."),
    ),
    Column(
        "sessions_fatal",
        counter("kpi_postgres_sessions_fatal_total", "Sessions ended by a fatal error."),
    ),
    Column(
        "sessions_killed",
        counter("kpi_postgres_sessions_killed_total", "Sessions ended by an operator."),
    ),
    Column(
        "stats_reset",
        gauge(
            "kpi_postgres_stats_reset_timestamp_seconds",
            "When the database's counters were set to 0; absent when they never were.",
        ),
    ),
    Column(
        "xid_age",
        gauge(
            "kpi_postgres_transaction_id_age",
            "Transactions since the oldest one that is not frozen in the database.",
        ),
    ),
    Column(
        "mxid_age",
        gauge(
            "kpi_postgres_multixact_id_age",
            "Multixacts since the oldest one that is not frozen in the database.",
        ),
    ),
    Column(
        "wraparound",
        gauge(
            "kpi_postgres_wraparound_ratio",
            "Share of the transaction (or multixact) ids that are used up, in the worst database "
            "of the server; near 1 the server stops taking writes.",
        ),
    ),
)

SIZE = gauge("kpi_postgres_database_size_bytes", "Size of the database on disk.")
SERVER_SIZE = gauge(
    "kpi_postgres_server_size_bytes", "Size of all databases of the server on disk."
)

METRICS = (*(column.metric for column in COUNTED), SIZE, SERVER_SIZE)

SINCE_14 = """
       session_time, active_time, idle_in_transaction_time,
       sessions, sessions_abandoned, sessions_fatal, sessions_killed,"""

# Ids are 32 bits wide, and half of them are in the future of any other.
_COUNTED_QUERY = """
SELECT xact_commit, xact_rollback, blks_hit, blks_read,
       tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted,
       temp_files, temp_bytes, deadlocks, conflicts, checksum_failures, stats_reset,{since_14}
       CASE WHEN current_setting('track_io_timing')::bool THEN blk_read_time END AS blk_read_time,
       CASE WHEN current_setting('track_io_timing')::bool THEN blk_write_time END
         AS blk_write_time,
       age(datfrozenxid) AS xid_age, mxid_age(datminmxid) AS mxid_age,
       (SELECT max(greatest(age(datfrozenxid), mxid_age(datminmxid))) / 2147483648.0
        FROM pg_database) AS wraparound
FROM pg_stat_database JOIN pg_database ON pg_database.oid = datid
WHERE pg_database.datname = current_database()
"""

_SIZE_QUERY = "SELECT pg_database_size(current_database()) AS bytes"

_SERVER_SIZE_QUERY = "SELECT sum(pg_database_size(oid)) AS bytes FROM pg_database"

DAY_SECONDS = 86_400.0

SHORTEST_TREND_SECONDS = 3600.0
"""A growth per day is not told from less than an hour: one vacuum would look like a trend."""


def counted() -> Part:
    """Return the part with the counters of the database."""
    query = versions(
        {
            13: _COUNTED_QUERY.format(since_14=""),
            14: _COUNTED_QUERY.format(since_14=SINCE_14),
        }
    )
    return Part("database", query, one_row(COUNTED))


def size() -> Part:
    """Return the part that tells the size of the database and how fast it grows."""
    return Part("size", always(_SIZE_QUERY), _Size().read, pace=Pace.SLOW)


def server_size() -> Part:
    """Return the part that tells the size of all databases together."""
    return Part(
        "server_size",
        always(_SERVER_SIZE_QUERY),
        one_row((Column("bytes", SERVER_SIZE),)),
        pace=Pace.SLOW,
        needs=SEES_ALL,
        of_server=True,
    )


@dataclass(slots=True)
class _Size:
    """The sizes of the last day."""

    sizes: deque[tuple[float, float]] = field(default_factory=deque)

    def read(self, database: str, rows: Rows, at: float) -> Collected:
        """Return the size, and the growth per day as far as a day of sizes tells it."""
        bytes_now = number(rows[0], "bytes") if rows else None
        if bytes_now is None:
            return Collected()
        self.sizes.append((at, bytes_now))
        while self.sizes[0][0] < at - DAY_SECONDS:
            self.sizes.popleft()
        subject = (("database", database),)
        readings = [Reading("database_size", subject, bytes_now)]
        first_at, first_bytes = self.sizes[0]
        if at - first_at >= SHORTEST_TREND_SECONDS:
            growth = (bytes_now - first_bytes) / (at - first_at) * DAY_SECONDS
            readings.append(Reading("database_growth", subject, growth))
        return Collected([Sample(SIZE, (database,), bytes_now)], readings)
