"""What our PostgreSQL collector and postgres_exporter both tell of a database, side by side.

What they count differently by design is left out: the states of connections one by one, for each
sees its own at work and the other's idle, and the connections that ordinary roles may hold, from
which we take the reserved ones.
"""

from collections.abc import Iterable, Mapping

from exporter.contract import OTHER, Sample
from tests.bed.peers import Series, series, values

OF_DATABASE = {
    "kpi_postgres_commits_total": ("pg_stat_database_xact_commit", 1.0),
    "kpi_postgres_rollbacks_total": ("pg_stat_database_xact_rollback", 1.0),
    "kpi_postgres_blocks_hit_total": ("pg_stat_database_blks_hit", 1.0),
    "kpi_postgres_blocks_read_total": ("pg_stat_database_blks_read", 1.0),
    "kpi_postgres_rows_returned_total": ("pg_stat_database_tup_returned", 1.0),
    "kpi_postgres_rows_fetched_total": ("pg_stat_database_tup_fetched", 1.0),
    "kpi_postgres_rows_inserted_total": ("pg_stat_database_tup_inserted", 1.0),
    "kpi_postgres_rows_updated_total": ("pg_stat_database_tup_updated", 1.0),
    "kpi_postgres_rows_deleted_total": ("pg_stat_database_tup_deleted", 1.0),
    "kpi_postgres_temp_files_total": ("pg_stat_database_temp_files", 1.0),
    "kpi_postgres_temp_bytes_total": ("pg_stat_database_temp_bytes", 1.0),
    "kpi_postgres_deadlocks_total": ("pg_stat_database_deadlocks", 1.0),
    "kpi_postgres_conflicts_total": ("pg_stat_database_conflicts", 1.0),
    "kpi_postgres_block_read_seconds_total": ("pg_stat_database_blk_read_time", 1000.0),
    "kpi_postgres_block_write_seconds_total": ("pg_stat_database_blk_write_time", 1000.0),
    "kpi_postgres_session_seconds_total": ("pg_stat_database_session_time", 1000.0),
    "kpi_postgres_active_seconds_total": ("pg_stat_database_active_time", 1000.0),
    "kpi_postgres_idle_in_transaction_seconds_total": (
        "pg_stat_database_idle_in_transaction_time",
        1000.0,
    ),
    "kpi_postgres_sessions_total": ("pg_stat_database_sessions", 1.0),
    "kpi_postgres_sessions_abandoned_total": ("pg_stat_database_sessions_abandoned", 1.0),
    "kpi_postgres_sessions_fatal_total": ("pg_stat_database_sessions_fatal", 1.0),
    "kpi_postgres_sessions_killed_total": ("pg_stat_database_sessions_killed", 1.0),
    "kpi_postgres_database_size_bytes": ("pg_database_size_bytes", 1.0),
}
"""Our metric → theirs and how much larger its unit makes a value; it has the label `datname`."""

OF_SERVER = {
    "kpi_postgres_up": ("pg_up", 1.0),
    "kpi_postgres_checkpoints_timed_total": ("pg_stat_bgwriter_checkpoints_timed", 1.0),
    "kpi_postgres_checkpoints_requested_total": ("pg_stat_bgwriter_checkpoints_req", 1.0),
    "kpi_postgres_checkpoint_write_seconds_total": (
        "pg_stat_bgwriter_checkpoint_write_time",
        1000.0,
    ),
    "kpi_postgres_checkpoint_sync_seconds_total": (
        "pg_stat_bgwriter_checkpoint_sync_time",
        1000.0,
    ),
    "kpi_postgres_checkpoint_blocks_total": ("pg_stat_bgwriter_buffers_checkpoint", 1.0),
    "kpi_postgres_bgwriter_blocks_total": ("pg_stat_bgwriter_buffers_clean", 1.0),
    "kpi_postgres_bgwriter_halts_total": ("pg_stat_bgwriter_maxwritten_clean", 1.0),
    "kpi_postgres_backend_blocks_total": ("pg_stat_bgwriter_buffers_backend", 1.0),
    "kpi_postgres_blocks_allocated_total": ("pg_stat_bgwriter_buffers_alloc", 1.0),
    "kpi_postgres_archived_wal_total": ("pg_stat_archiver_archived_count", 1.0),
    "kpi_postgres_archive_failures_total": ("pg_stat_archiver_failed_count", 1.0),
}
"""The same without labels."""

SETTING = "kpi_postgres_setting"
"""Also with its unit, which theirs have at the same place."""
ROUNDING = 1e-9
"""Relative difference that a change of unit may make."""


def theirs(page: str) -> dict[Series, float]:
    """Return what a page of postgres_exporter says, without the labels that name the server.

    And without the end `_total`, which the parser gives to every counter.
    """
    found = {}
    for (name, labels), value in values(page).items():
        kept = frozenset(pair for pair in labels if pair[0] not in ("server", "datid"))
        found[name.removesuffix("_total"), kept] = value
    return found


def in_their_words(samples: Iterable[Sample], datname: str) -> dict[Series, float]:
    """Return what our samples say and postgres_exporter says, too, under its names."""
    found: dict[Series, float] = {}
    for sample in samples:
        told = _translated(sample, datname)
        if told is not None:
            key, scale = told
            found[key] = found.get(key, 0.0) + sample.value * scale  # connections come by state
    return found


def _translated(sample: Sample, datname: str) -> tuple[Series, float] | None:
    name, labels = sample.metric.name, sample.labels[1:]
    match name, labels:
        case "kpi_postgres_connections", _:
            return series("pg_stat_database_numbackends", datname=datname), 1.0
        case "kpi_postgres_locks", (mode,) if mode != OTHER:
            return series("pg_locks_count", datname=datname, mode=mode.lower()), 1.0
        case _, (setting,) if name.startswith(SETTING):
            return series(f"pg_settings_{setting}{name.removeprefix(SETTING)}"), 1.0
        case _ if name in OF_DATABASE:
            known, scale = OF_DATABASE[name]
            return series(known, datname=datname), scale
        case _ if name in OF_SERVER:
            known, scale = OF_SERVER[name]
            return series(known), scale
        case _:
            return None


def differences(
    ours: Mapping[Series, float], before: Mapping[Series, float], after: Mapping[Series, float]
) -> list[str]:
    """Return where ours is not what they said before and after, or between where that moved."""
    found = []
    for key, value in ours.items():
        if key not in before or key not in after:
            found.append(f"{_shown(key)}: ours {value}, theirs nothing")
            continue
        low, high = sorted((before[key], after[key]))
        room = ROUNDING * max(abs(low), abs(high))
        if not low - room <= value <= high + room:
            found.append(f"{_shown(key)}: ours {value}, theirs {before[key]} to {after[key]}")
    return found


def _shown(key: Series) -> str:
    labels = ",".join(f"{name}={value!r}" for name, value in sorted(key[1]))
    return f"{key[0]}{{{labels}}}"
