"""Checkpoints, the write-ahead log and its archive."""

from exporter.postgres.database import MILLISECONDS
from exporter.postgres.part import (
    MONITOR,
    Column,
    Pace,
    Part,
    always,
    counter,
    gauge,
    one_row,
    versions,
)

CHECKPOINTS = (
    Column(
        "timed",
        counter("kpi_postgres_checkpoints_timed_total", "Checkpoints because it was time."),
    ),
    Column(
        "requested",
        counter(
            "kpi_postgres_checkpoints_requested_total",
            "Checkpoints because somebody asked, or the log had grown to max_wal_size.",
        ),
    ),
    Column(
        "write_time",
        counter(
            "kpi_postgres_checkpoint_write_seconds_total",
            "Time in which checkpoints wrote blocks.",
        ),
        MILLISECONDS,
    ),
    Column(
        "sync_time",
        counter(
            "kpi_postgres_checkpoint_sync_seconds_total",
            "Time in which checkpoints waited for the disk.",
        ),
        MILLISECONDS,
    ),
    Column(
        "written",
        counter("kpi_postgres_checkpoint_blocks_total", "Blocks written by checkpoints."),
    ),
    Column(
        "cleaned",
        counter("kpi_postgres_bgwriter_blocks_total", "Blocks written by the background writer."),
    ),
    Column(
        "halted",
        counter(
            "kpi_postgres_bgwriter_halts_total",
            "Rounds that the background writer ended because it had written too much.",
        ),
    ),
    Column(
        "by_backends",
        counter(
            "kpi_postgres_backend_blocks_total",
            "Blocks that sessions had to write themselves, new ones included; absent from "
            "PostgreSQL 18 on.",
        ),
    ),
    Column("allocated", counter("kpi_postgres_blocks_allocated_total", "Cache blocks allocated.")),
)

WAL = (
    Column("wal_records", counter("kpi_postgres_wal_records_total", "Log records written.")),
    Column(
        "wal_fpi",
        counter("kpi_postgres_wal_full_page_images_total", "Whole pages written to the log."),
    ),
    Column("wal_bytes", counter("kpi_postgres_wal_bytes_total", "Bytes written to the log.")),
    Column(
        "wal_buffers_full",
        counter(
            "kpi_postgres_wal_buffers_full_total",
            "Times that the log was written because its buffers were full.",
        ),
    ),
)

WAL_FILES = (
    Column("files", gauge("kpi_postgres_wal_files", "Files of the log on disk.")),
    Column("bytes", gauge("kpi_postgres_wal_size_bytes", "Size of the log on disk.")),
)

ARCHIVER = (
    Column("archived", counter("kpi_postgres_archived_wal_total", "Files of the log archived.")),
    Column(
        "failed",
        counter("kpi_postgres_archive_failures_total", "Failed tries to archive a file."),
    ),
    Column(
        "last_archived",
        gauge(
            "kpi_postgres_last_archived_timestamp_seconds",
            "When a file of the log was last archived; absent when none ever was.",
        ),
    ),
    Column(
        "last_failed",
        gauge(
            "kpi_postgres_last_archive_failure_timestamp_seconds",
            "When archiving last failed; absent when it never did.",
        ),
    ),
)

METRICS = tuple(
    column.metric for table in (CHECKPOINTS, WAL, WAL_FILES, ARCHIVER) for column in table
)

_UNTIL_16 = """
SELECT checkpoints_timed AS timed, checkpoints_req AS requested,
       checkpoint_write_time AS write_time, checkpoint_sync_time AS sync_time,
       buffers_checkpoint AS written, buffers_clean AS cleaned, maxwritten_clean AS halted,
       buffers_backend AS by_backends, buffers_alloc AS allocated
FROM pg_stat_bgwriter
"""

# What sessions write themselves moved to pg_stat_io, where it counts blocks up to version 17 and
# operations of several blocks from 18 on.
_FROM_17 = """
SELECT num_timed AS timed, num_requested AS requested, write_time, sync_time,
       buffers_written AS written, buffers_clean AS cleaned, maxwritten_clean AS halted,
       {by_backends} AS by_backends, buffers_alloc AS allocated
FROM pg_stat_checkpointer CROSS JOIN pg_stat_bgwriter
"""

_BY_BACKENDS = """
       (SELECT sum(coalesce(writes, 0) + coalesce(extends, 0)) FROM pg_stat_io
        WHERE object = 'relation' AND backend_type NOT IN ('checkpointer', 'background writer'))"""

_WAL_QUERY = "SELECT wal_records, wal_fpi, wal_bytes, wal_buffers_full FROM pg_stat_wal"

_FILES_QUERY = "SELECT count(*) AS files, coalesce(sum(size), 0) AS bytes FROM pg_ls_waldir()"

_ARCHIVER_QUERY = """
SELECT archived_count AS archived, failed_count AS failed,
       last_archived_time AS last_archived, last_failed_time AS last_failed
FROM pg_stat_archiver
"""


def checkpoints() -> Part:
    """Return the part about checkpoints and who else writes blocks."""
    query = versions(
        {
            13: _UNTIL_16,
            17: _FROM_17.format(by_backends=_BY_BACKENDS),
            18: _FROM_17.format(by_backends="NULL"),
        }
    )
    return Part("checkpoints", query, one_row(CHECKPOINTS), of_server=True)


def wal() -> Part:
    """Return the part that counts what is written to the log; PostgreSQL counts since 14."""
    return Part("wal", versions({14: _WAL_QUERY}), one_row(WAL), of_server=True)


def wal_files() -> Part:
    """Return the part about the log's files on disk."""
    return Part(
        "wal_files",
        always(_FILES_QUERY),
        one_row(WAL_FILES),
        pace=Pace.MEDIUM,
        needs=MONITOR,
        of_server=True,
    )


def archiver() -> Part:
    """Return the part about the log's archive."""
    return Part("archiver", always(_ARCHIVER_QUERY), one_row(ARCHIVER), of_server=True)
