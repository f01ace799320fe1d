"""Tables that want a vacuum, and the largest ones."""

from exporter.contract import Collected, Sample
from exporter.postgres.part import (
    Column,
    Limits,
    Pace,
    Part,
    Row,
    Rows,
    always,
    gauge,
    number,
    text,
    values,
)

LIVE = gauge("kpi_postgres_live_rows", "Live rows of all tables of the database, as estimated.")
DEAD = gauge(
    "kpi_postgres_dead_rows",
    "Dead rows of all tables of the database, as estimated: what a vacuum would make free.",
)
TABLES = gauge("kpi_postgres_tables", "Tables of the database.")

TABLE = (
    Column(
        "n_live_tup",
        gauge(
            "kpi_postgres_table_live_rows",
            "Live rows of the tables with the most dead ones.",
            *("schema", "table"),
        ),
    ),
    Column(
        "n_dead_tup",
        gauge(
            "kpi_postgres_table_dead_rows",
            "Dead rows of the tables with the most of them.",
            *("schema", "table"),
        ),
    ),
    Column(
        "last_vacuum",
        gauge(
            "kpi_postgres_table_last_vacuum_timestamp_seconds",
            "When the table was last vacuumed, by whomever; absent when it never was.",
            *("schema", "table"),
        ),
    ),
    Column(
        "last_analyze",
        gauge(
            "kpi_postgres_table_last_analyze_timestamp_seconds",
            "When the table was last analyzed, by whomever; absent when it never was.",
            *("schema", "table"),
        ),
    ),
)
DEAD_RATIO = gauge(
    "kpi_postgres_table_dead_rows_ratio",
    "Share of dead rows among all rows of the tables with the most dead ones.",
    *("schema", "table"),
)
TABLE_SIZE = gauge(
    "kpi_postgres_table_size_bytes",
    "Size on disk of the largest tables, their indexes included; a table that somebody holds "
    "locked is left out.",
    *("schema", "table"),
)

METRICS = (LIVE, DEAD, TABLES, *(column.metric for column in TABLE), DEAD_RATIO, TABLE_SIZE)

_VACUUM_QUERY = """
SELECT schemaname, relname, n_live_tup, n_dead_tup,
       greatest(last_vacuum, last_autovacuum) AS last_vacuum,
       greatest(last_analyze, last_autoanalyze) AS last_analyze,
       sum(n_live_tup) OVER () AS live, sum(n_dead_tup) OVER () AS dead,
       count(*) OVER () AS tables
FROM pg_stat_user_tables
WHERE schemaname !~ '^pg_temp'
ORDER BY n_dead_tup DESC, relid
LIMIT $1
"""

# The size of a table takes a lock on it, as a SELECT does, and would wait behind whoever changes
# it. Which tables are the largest is told by what the last vacuum or analyze found.
_SIZES_QUERY = """
SELECT nspname AS schemaname, relname, pg_total_relation_size(largest.oid) AS bytes
FROM (SELECT pg_class.oid, nspname, relname
      FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
      WHERE relkind IN ('r', 'm') AND relpersistence <> 't'
        AND nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT EXISTS (SELECT FROM pg_locks
                        WHERE relation = pg_class.oid AND mode = 'AccessExclusiveLock')
      ORDER BY relpages DESC, pg_class.oid
      LIMIT $1) AS largest
"""


def vacuum(limits: Limits) -> Part:
    """Return the part about dead rows and who cleared them last."""
    return Part(
        "tables", always(_VACUUM_QUERY), _vacuum, arguments=(limits.tables,), pace=Pace.MEDIUM
    )


def sizes(limits: Limits) -> Part:
    """Return the part about the largest tables."""
    return Part(
        "table_sizes", always(_SIZES_QUERY), _sizes, arguments=(limits.tables,), pace=Pace.SLOW
    )


def _vacuum(database: str, rows: Rows, _at: float) -> Collected:
    label = (database,)
    totals: Row = rows[0] if rows else {"live": 0, "dead": 0, "tables": 0}
    table = (Column("live", LIVE), Column("dead", DEAD), Column("tables", TABLES))
    samples = list(values(table, label, totals))
    for row in rows:
        labels = (database, text(row, "schemaname"), text(row, "relname"))
        samples += values(TABLE, labels, row)
        live, dead = number(row, "n_live_tup"), number(row, "n_dead_tup")
        if live is not None and dead is not None and live + dead > 0:
            samples.append(Sample(DEAD_RATIO, labels, dead / (live + dead)))
    return Collected(samples)


def _sizes(database: str, rows: Rows, _at: float) -> Collected:
    table = (Column("bytes", TABLE_SIZE),)
    return Collected(
        [
            sample
            for row in rows
            for sample in values(
                table, (database, text(row, "schemaname"), text(row, "relname")), row
            )
        ]
    )
