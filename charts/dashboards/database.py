"""Database: connections, queries, locks, growth, replicas and pools of PostgreSQL."""

from charts.dashboards.board import (
    ALERTS,
    DATABASES,
    Bars,
    Board,
    Lines,
    Number,
    Query,
    Row,
    gauge,
    highest,
    increase,
    least,
    rate,
    total,
)
from charts.dashboards.catalogue import kpi_lines, kpi_number

CHOSEN = 'database=~"$database"'
DB = "database"
NAME = "{{database}}"
POOL = ("pgbouncer", DB, "user")
TABLE = (DB, "schema", "table")
MEDIUM_STEP = "1m"
"""How often statements and tables are read, as shipped."""


def of(metric: str, *labels: str) -> str:
    """Return a gauge of the chosen databases."""
    return gauge(metric, DB, *labels, where=CHOSEN)


def per_second(metric: str, *labels: str) -> str:
    """Return a counter's pace in the chosen databases."""
    return rate(metric, DB, *labels, where=CHOSEN)


NOW = Row(
    "Is the database well?",
    (
        Number(
            title="Database answers",
            about="0: it could not be reached, or refused the exporter.",
            unit="short",
            queries=(Query(f"min({least('kpi_postgres_up', DB, where=CHOSEN)})", "answers"),),
            bad_below=1,
            guides=("KpiDatabaseDown",),
        ),
        kpi_number(
            "database_connections_ratio",
            "Connections used",
            "Of those that ordinary roles may hold.",
        ),
        kpi_number("database_query_time", "Mean query time", "Over 5 minutes, all statements."),
        kpi_number(
            "database_slow_queries",
            "Slow queries",
            "Seen in 5 minutes to take longer than allowed.",
        ),
        Number(
            title="Longest wait for a lock",
            about="Long: somebody holds a lock and does nothing; see below who.",
            unit="s",
            queries=(Query(f"max({of('kpi_postgres_longest_lock_wait_seconds')})", "wait"),),
            bad_above=30,
            guides=("KpiDatabaseBlocked",),
        ),
        Number(
            title="Oldest transaction",
            about="An old one keeps locks and dead rows; most often a forgotten session.",
            unit="s",
            queries=(Query(f"max({of('kpi_postgres_oldest_transaction_seconds')})", "age"),),
            bad_above=3600,
            guides=("KpiDatabaseIdleInTransaction",),
        ),
    ),
)

CONNECTIONS = Row(
    "Are there connections left?",
    (
        kpi_lines(
            "database_connections_ratio",
            "Connections used of those allowed",
            "Full: new sessions are refused, first those of the application.",
            guide="KpiDatabaseConnectionsHigh",
        ),
        Lines(
            title="Connections by state",
            about="Many `idle in transaction`: the application forgets to commit.",
            unit="short",
            queries=(Query(of("kpi_postgres_connections", "state"), NAME + " {{state}}"),),
            stacked=True,
        ),
        Lines(
            title="Who holds the connections?",
            about="By application_name.",
            unit="short",
            queries=(
                Query(
                    of("kpi_postgres_application_connections", "application"),
                    NAME + " {{application}}",
                ),
            ),
            stacked=True,
        ),
        Lines(
            title="What do sessions at work wait for?",
            about="Lock: see the locks. IO: the disk. Client: the network or the application.",
            unit="short",
            queries=(
                Query(
                    of("kpi_postgres_waiting_connections", "wait_event_type"),
                    NAME + " {{wait_event_type}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

POOLS = Row(
    "Do the pools of pgbouncer suffice?",
    (
        kpi_lines(
            "database_pool_ratio",
            "Pool used",
            "At 1 clients queue. Look for long transactions first, then enlarge it.",
            width=8,
        ),
        Lines(
            title="Clients by state",
            about="Waiting: the pool is empty for them.",
            unit="short",
            queries=(
                Query(
                    total(
                        gauge("kpi_pgbouncer_clients", *POOL, "state", where=CHOSEN), DB, "state"
                    ),
                    NAME + " {{state}}",
                ),
            ),
            stacked=True,
            width=8,
        ),
        Lines(
            title="Longest wait for a connection",
            about="How long the first client in the queue has waited.",
            unit="s",
            queries=(
                Query(
                    gauge("kpi_pgbouncer_longest_wait_seconds", *POOL, where=CHOSEN),
                    NAME + " {{user}}",
                ),
            ),
            width=8,
        ),
    ),
)

QUERIES = Row(
    "How fast are queries, and which are slow?",
    (
        kpi_lines("database_query_time", "Mean query time over time", "Over 5 minutes."),
        kpi_lines(
            "database_slow_queries",
            "Slow queries seen",
            "Running longer than the exporter's slow_query, in 5 minutes, each once.",
        ),
        Lines(
            title="Which statements take the time?",
            about="Seconds of work per second. The text of a query_id: pg_stat_statements.",
            unit="s",
            queries=(
                Query(
                    per_second("kpi_postgres_statement_seconds_total", "query_id"),
                    NAME + " {{query_id}}",
                    MEDIUM_STEP,
                ),
            ),
            stacked=True,
        ),
        Bars(
            title="Slowest statements",
            about="Mean time of the ten slowest among those that take the most time together.",
            unit="s",
            queries=(
                Query(
                    highest(
                        10,
                        per_second("kpi_postgres_statement_seconds_total", "query_id")
                        + " / ("
                        + per_second("kpi_postgres_statement_calls_total", "query_id")
                        + " > 0)",
                    ),
                    NAME + " {{query_id}}",
                    MEDIUM_STEP,
                ),
            ),
        ),
        Lines(
            title="Transactions",
            about="Rollbacks that rise with a release: the application runs into errors.",
            unit="ops",
            queries=(
                Query(per_second("kpi_postgres_commits_total"), NAME + " committed"),
                Query(per_second("kpi_postgres_rollbacks_total"), NAME + " rolled back"),
            ),
        ),
        Lines(
            title="Blocks found in the cache",
            about="Falling: what is worked on has outgrown shared_buffers, or a new query scans.",
            unit="percentunit",
            queries=(
                Query(
                    per_second("kpi_postgres_blocks_hit_total")
                    + " / ("
                    + per_second("kpi_postgres_blocks_hit_total")
                    + " + "
                    + per_second("kpi_postgres_blocks_read_total")
                    + " > 0)",
                    NAME,
                ),
            ),
            low=None,
        ),
        Lines(
            title="Rows read and changed",
            about="Many returned for few fetched: sequential scans.",
            unit="rowsps",
            queries=tuple(
                Query(per_second(f"kpi_postgres_rows_{word}_total"), f"{NAME} {word}")
                for word in ("returned", "fetched", "inserted", "updated", "deleted")
            ),
        ),
        Lines(
            title="Written for want of memory",
            about="Sorts and joins that did not fit into work_mem.",
            unit="Bps",
            queries=(Query(per_second("kpi_postgres_temp_bytes_total"), NAME),),
        ),
    ),
)

LOCKS = Row(
    "Who waits for whom?",
    (
        Lines(
            title="Sessions that wait, and those they wait for",
            about="One blocking many: end it (cancel_queries, terminate_backends).",
            unit="short",
            queries=(
                Query(of("kpi_postgres_blocked_connections"), NAME + " waiting"),
                Query(of("kpi_postgres_blocking_connections"), NAME + " blocking"),
            ),
            width=8,
        ),
        Lines(
            title="Locks by mode",
            about="AccessExclusiveLock: a change of a table, which stops even readers.",
            unit="short",
            queries=(Query(of("kpi_postgres_locks", "mode"), NAME + " {{mode}}"),),
            stacked=True,
            width=8,
        ),
        Lines(
            title="Oldest open work",
            about="Idle in transaction: a session that holds locks and does nothing.",
            unit="s",
            queries=tuple(
                Query(of(f"kpi_postgres_oldest_{what}_seconds"), f"{NAME} {word}")
                for what, word in (
                    ("transaction", "transaction"),
                    ("query", "query"),
                    ("idle_in_transaction", "idle in transaction"),
                )
            ),
            width=8,
        ),
        Lines(
            title="Deadlocks, and sessions that ended badly",
            about="Abandoned: the client vanished. Fatal: an error ended it. Killed: an operator.",
            unit="short",
            queries=tuple(
                Query(increase(f"kpi_postgres_{name}_total", DB, where=CHOSEN), f"{NAME} {word}")
                for name, word in (
                    ("deadlocks", "deadlocks"),
                    ("sessions_abandoned", "abandoned"),
                    ("sessions_fatal", "fatal"),
                    ("sessions_killed", "killed"),
                )
            ),
            width=24,
        ),
    ),
)

GROWTH = Row(
    "How does it grow?",
    (
        kpi_lines("database_size", "Database size", "On disk.", width=8),
        kpi_lines("database_growth", "Growth per day", "At the pace of the last day.", width=8),
        Lines(
            title="Log on disk",
            about="Growing: a slot that nobody reads, or archiving that fails.",
            unit="bytes",
            queries=(Query(of("kpi_postgres_wal_size_bytes"), NAME),),
            width=8,
        ),
        Bars(
            title="Largest tables",
            about="With their indexes.",
            unit="bytes",
            queries=(
                Query(
                    highest(10, gauge("kpi_postgres_table_size_bytes", *TABLE, where=CHOSEN)),
                    "{{schema}}.{{table}}",
                ),
            ),
        ),
        Bars(
            title="Tables with dead rows",
            about="Share of dead rows. High, and last vacuumed long ago: an old transaction.",
            unit="percentunit",
            queries=(
                Query(
                    highest(10, gauge("kpi_postgres_table_dead_rows_ratio", *TABLE, where=CHOSEN)),
                    "{{schema}}.{{table}}",
                ),
            ),
        ),
    ),
)

REPLICATION = Row(
    "Do replicas and backups of the log follow?",
    (
        Lines(
            title="How far are replicas behind?",
            about="Reads from a replica are as old as this.",
            unit="s",
            queries=(
                Query(of("kpi_postgres_replica_lag_seconds", "replica"), NAME + " {{replica}}"),
                Query(of("kpi_postgres_standby_lag_seconds"), NAME + " (as it says itself)"),
            ),
            width=8,
        ),
        Lines(
            title="Replicas by state",
            about="A missing one: its volume, its network, or a slot that was dropped.",
            unit="short",
            queries=(Query(of("kpi_postgres_replicas", "state"), NAME + " {{state}}"),),
            width=8,
        ),
        Lines(
            title="Log kept for slots",
            about="A slot that nobody reads fills the disk.",
            unit="bytes",
            queries=(
                Query(
                    of("kpi_postgres_replication_slot_retained_bytes", "slot"), NAME + " {{slot}}"
                ),
            ),
            width=8,
        ),
        Lines(
            title="Archiving of the log",
            about="Failures: no restore to a point in time, and a log that grows.",
            unit="short",
            queries=(
                Query(
                    increase("kpi_postgres_archived_wal_total", DB, where=CHOSEN),
                    NAME + " archived",
                ),
                Query(
                    increase("kpi_postgres_archive_failures_total", DB, where=CHOSEN),
                    NAME + " failed",
                ),
            ),
        ),
        Lines(
            title="Transaction ids used up",
            about="Near 1 the server stops taking writes: vacuum the oldest tables.",
            unit="percentunit",
            queries=(Query(of("kpi_postgres_wraparound_ratio"), NAME),),
        ),
    ),
)

BOARD = Board(
    uid="runbookd-database",
    title="Database",
    about="Are there connections left, how fast are queries, who waits for whom, what grows?",
    rows=(NOW, CONNECTIONS, QUERIES, LOCKS, POOLS, GROWTH, REPLICATION),
    variables=(DATABASES,),
    events=(ALERTS,),
)
