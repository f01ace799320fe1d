"""What the server is: version, age, rights of our role, and the settings that matter."""

from exporter.contract import Collected, Sample
from exporter.postgres.part import (
    MONITOR,
    SEES_ALL,
    Facts,
    Pace,
    Part,
    Row,
    Rows,
    always,
    gauge,
    number,
    text,
)

UP = gauge("kpi_postgres_up", "1 when the database answered, 0 when it could not be reached.")
INFO = gauge("kpi_postgres_info", "Always 1; tells the server's version.", "version")
STARTED = gauge("kpi_postgres_start_timestamp_seconds", "When the server was started.")
STANDBY = gauge("kpi_postgres_standby", "1 while the server replays another server's log, else 0.")

SETTING = gauge(
    "kpi_postgres_setting",
    "Settings of the server that have no unit; on and off are 1 and 0, -1 often means unlimited.",
    "setting",
)
SETTING_BYTES = gauge(
    "kpi_postgres_setting_bytes", "Settings of the server that are sizes; -1 means off.", "setting"
)
SETTING_SECONDS = gauge(
    "kpi_postgres_setting_seconds",
    "Settings of the server that are durations; -1 means off.",
    "setting",
)
PENDING = gauge(
    "kpi_postgres_settings_pending_restart",
    "Settings that were changed and wait for a restart of the server.",
)

METRICS = (UP, INFO, STARTED, STANDBY, SETTING, SETTING_BYTES, SETTING_SECONDS, PENDING)

FACTS = f"""
SELECT current_setting('server_version_num')::int / 10000 AS version,
       split_part(current_setting('server_version'), ' ', 1) AS release,
       pg_postmaster_start_time() AS started,
       pg_is_in_recovery() AS standby,
       ARRAY(SELECT rolname::text FROM pg_roles
             WHERE rolname IN ('{MONITOR}', '{SEES_ALL}') AND pg_has_role(oid, 'USAGE')) AS roles,
       extension.extversion AS statements,
       quote_ident(extension.nspname) AS statements_schema
FROM (VALUES (1)) AS one
LEFT JOIN (SELECT extversion, nspname
           FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
           WHERE extname = 'pg_stat_statements') AS extension ON true
"""  # noqa: S608 - our own constants
"""Asked first in each pass: what else is asked depends on it."""

# What a session of ours sets for itself (statement_timeout, …) would tell of us, not of the server.
SETTINGS = (
    "autovacuum",
    "autovacuum_freeze_max_age",
    "autovacuum_max_workers",
    "autovacuum_naptime",
    "autovacuum_vacuum_scale_factor",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "data_checksums",
    "deadlock_timeout",
    "effective_cache_size",
    "fsync",
    "full_page_writes",
    "idle_in_transaction_session_timeout",
    "log_min_duration_statement",
    "maintenance_work_mem",
    "max_connections",
    "max_locks_per_transaction",
    "max_parallel_workers",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_wal_senders",
    "max_wal_size",
    "max_worker_processes",
    "min_wal_size",
    "random_page_cost",
    "shared_buffers",
    "superuser_reserved_connections",
    "track_io_timing",
    "wal_buffers",
    "work_mem",
)

_SETTINGS_QUERY = """
SELECT name, setting, unit, vartype,
       (SELECT count(*) FROM pg_settings WHERE pending_restart) AS pending
FROM pg_settings
WHERE name = ANY($1) AND vartype IN ('bool', 'integer', 'real')
ORDER BY name
"""

# The units of pg_settings (GUC_UNIT in the server's source). A block may have another size than
# 8 kB, and its unit says so.
SIZES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
SWITCHES = {"on": 1.0, "off": 0.0}


def facts(row: Row) -> Facts:
    """Read the answer to FACTS."""
    roles = row.get("roles")
    extension = text(row, "statements")
    return Facts(
        version=int(number(row, "version") or 0),
        release=text(row, "release"),
        started=number(row, "started"),
        standby=bool(row.get("standby")),
        roles=frozenset(map(str, roles)) if isinstance(roles, list) else frozenset(),
        statements=tuple(map(int, extension.split("."))) if extension else None,
        statements_schema=text(row, "statements_schema"),
    )


def samples(database: str, known: Facts) -> list[Sample]:
    """Return what the facts say of the server."""
    found = [
        Sample(UP, (database,), 1.0),
        Sample(INFO, (database, known.release), 1.0),
        Sample(STANDBY, (database,), float(known.standby)),
    ]
    if known.started is not None:
        found.append(Sample(STARTED, (database,), known.started))
    return found


def settings() -> Part:
    """Return the part that tells the server's settings."""
    return Part(
        "settings",
        always(_SETTINGS_QUERY),
        _read_settings,
        arguments=(SETTINGS,),
        pace=Pace.MEDIUM,
        of_server=True,
    )


def _read_settings(database: str, rows: Rows, _at: float) -> Collected:
    found = [sample for row in rows if (sample := _setting(database, row))]
    pending = number(rows[0], "pending") if rows else None
    if pending is not None:
        found.append(Sample(PENDING, (database,), pending))
    return Collected(found)


def _setting(database: str, row: Row) -> Sample | None:
    """Return a setting in its base unit, or nothing where its value or unit is not understood."""
    labels, setting, unit = (database, text(row, "name")), text(row, "setting"), text(row, "unit")
    if setting in SWITCHES:
        return Sample(SETTING, labels, SWITCHES[setting])
    try:
        value = float(setting)
    except ValueError:
        return None
    count, name = _parted(unit)
    if not unit:
        return Sample(SETTING, labels, value)
    if name in SIZES:
        return Sample(SETTING_BYTES, labels, value if value < 0 else value * count * SIZES[name])
    if name in SECONDS:
        return Sample(SETTING_SECONDS, labels, value if value < 0 else value * SECONDS[name])
    return None


def _parted(unit: str) -> tuple[int, str]:
    """Part `8kB` into 8 and kB; without a number it is 1."""
    name = unit.lstrip("0123456789")
    count = unit.removesuffix(name)
    return int(count or 1), name
