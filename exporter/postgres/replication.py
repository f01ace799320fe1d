"""Who follows this server, whom it follows, and what it keeps for those who do not come."""

from collections import Counter

from exporter.contract import Collected, Sample
from exporter.postgres.part import (
    OTHER,
    SEES_ALL,
    Column,
    Facts,
    Limits,
    Part,
    Rows,
    gauge,
    number,
    one_row,
    text,
    values,
)

REPLICAS = gauge(
    "kpi_postgres_replicas", "Servers (and other receivers) that follow this one.", "state"
)
LAG_BYTES = gauge(
    "kpi_postgres_replica_lag_bytes",
    "Bytes of this server's log that a replica has not replayed; of several that bear one "
    "application_name the worst.",
    "replica",
)
LAG_SECONDS = gauge(
    "kpi_postgres_replica_lag_seconds",
    "Time until a replica has replayed what this server wrote; absent while nothing is written.",
    "replica",
)

STANDBY = (
    Column(
        "lag_bytes",
        gauge(
            "kpi_postgres_standby_lag_bytes",
            "Bytes of the primary's log that this standby has received and not replayed.",
        ),
    ),
    Column(
        "lag_seconds",
        gauge(
            "kpi_postgres_standby_lag_seconds",
            "Age of the last transaction that this standby has replayed; 0 when it has replayed "
            "all that it received.",
        ),
    ),
    Column(
        "receiving",
        gauge(
            "kpi_postgres_standby_receiving",
            "1 while this standby is connected to its primary, else 0.",
        ),
    ),
)

SLOT = (
    Column(
        "active",
        gauge(
            "kpi_postgres_replication_slot_active",
            "1 while somebody reads from the replication slot, else 0.",
            "slot",
        ),
    ),
    Column(
        "retained",
        gauge(
            "kpi_postgres_replication_slot_retained_bytes",
            "Bytes of the log that are kept for the replication slot.",
            "slot",
        ),
    ),
    Column(
        "safe_wal_size",
        gauge(
            "kpi_postgres_replication_slot_safe_bytes",
            "Bytes that can be written before the slot may lose what it waits for; absent where "
            "nothing limits what is kept.",
            "slot",
        ),
    ),
)

METRICS = (
    *(REPLICAS, LAG_BYTES, LAG_SECONDS),
    *(column.metric for column in (*STANDBY, *SLOT)),
)

STATES = ("startup", "catchup", "streaming", "backup", "stopping")
"""States of pg_stat_replication, in PostgreSQL's words."""

# Where this server's log ends, which a standby is told by its primary.
_PRIMARY_END, _STANDBY_END = "pg_current_wal_lsn()", "pg_last_wal_replay_lsn()"

_REPLICAS_QUERY = """
SELECT application_name AS replica, state,
       pg_wal_lsn_diff({end}, replay_lsn) AS lag_bytes, replay_lag AS lag_seconds
FROM pg_stat_replication
"""

_SLOTS_QUERY = """
SELECT slot_name, active, pg_wal_lsn_diff({end}, restart_lsn) AS retained, safe_wal_size
FROM pg_replication_slots ORDER BY slot_name
"""

_STANDBY_QUERY = """
SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS lag_bytes,
       CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN '0'::interval
            ELSE clock_timestamp() - pg_last_xact_replay_timestamp() END AS lag_seconds,
       EXISTS (SELECT FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) AS receiving
"""


def replicas(limits: Limits) -> Part:
    """Return the part about the servers that follow this one."""

    def query(facts: Facts) -> str:
        return _REPLICAS_QUERY.format(end=_STANDBY_END if facts.standby else _PRIMARY_END)

    def read(database: str, rows: Rows, _at: float) -> Collected:
        return _replicas(database, rows, limits.replicas)

    return Part("replicas", query, read, needs=SEES_ALL, of_server=True)


def slots() -> Part:
    """Return the part about replication slots, of which the server bounds the number."""

    def query(facts: Facts) -> str:
        return _SLOTS_QUERY.format(end=_STANDBY_END if facts.standby else _PRIMARY_END)

    return Part("slots", query, _slots, of_server=True)


def standby() -> Part:
    """Return the part about the server that this one follows; a primary follows none."""

    def query(facts: Facts) -> str | None:
        return _STANDBY_QUERY if facts.standby else None

    return Part("standby", query, one_row(STANDBY), of_server=True)


def _replicas(database: str, rows: Rows, most: int) -> Collected:
    states = Counter(_state(text(row, "state")) for row in rows)
    bytes_behind: dict[str, float] = {}
    seconds_behind: dict[str, float] = {}
    for row in rows:
        name, lag = text(row, "replica"), number(row, "lag_bytes")
        if lag is not None:
            bytes_behind[name] = max(lag, bytes_behind.get(name, 0.0))
        seconds = number(row, "lag_seconds")
        if seconds is not None:
            seconds_behind[name] = max(seconds, seconds_behind.get(name, 0.0))
    told = sorted(bytes_behind, key=lambda name: (-bytes_behind[name], name))[:most]
    samples = [Sample(REPLICAS, (database, state), states[state]) for state in (*STATES, OTHER)]
    samples += [Sample(LAG_BYTES, (database, name), bytes_behind[name]) for name in told]
    samples += [
        Sample(LAG_SECONDS, (database, name), seconds_behind[name])
        for name in told
        if name in seconds_behind
    ]
    return Collected(samples)


def _state(word: str) -> str:
    return word if word in STATES else OTHER


def _slots(database: str, rows: Rows, _at: float) -> Collected:
    return Collected(
        [sample for row in rows for sample in values(SLOT, (database, text(row, "slot_name")), row)]
    )
