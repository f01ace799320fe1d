"""Asks PostgreSQL whether it is there and how many of its connections are in use."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import SecretStr, model_validator

from exporter.contract import Collected, CollectorSpec, Metric, PolledSource, Reading, Sample
from exporter.ports import Clients, Database
from exporter.shared.config import Duration, Section
from exporter.shared.errors import PermanentError, TransientError

UP = Metric(
    "kpi_postgres_up",
    "1 when the database answered the last query, 0 when it could not be reached.",
    "gauge",
    ("database",),
)
CONNECTIONS = Metric(
    "kpi_postgres_connections",
    "Client connections to the database, the exporter's own included.",
    "gauge",
    ("database", "state"),
)
USED = Metric(
    "kpi_postgres_connections_used",
    "Client connections to all databases of the server: what counts against the limit.",
    "gauge",
    ("database",),
)
LIMIT = Metric(
    "kpi_postgres_max_connections",
    "Connections that ordinary roles may hold: max_connections less the reserved ones.",
    "gauge",
    ("database",),
)

STATES = {
    "active": "active",
    "idle": "idle",
    "idle in transaction": "idle_in_transaction",
    "idle in transaction (aborted)": "idle_in_transaction_aborted",
}
"""State in pg_stat_activity → value of the label; whatever else there is becomes OTHER."""

OTHER = "other"

# Who may not see another role's session gets no backend_type and no state for it; a session that
# has a user is then taken for a client's. reserved_connections came with PostgreSQL 16.
QUERY = """
SELECT state, datname = current_database() AS here, count(*) AS connections,
       current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true)::int, 0) AS usable
FROM pg_stat_activity
WHERE backend_type = 'client backend'
   OR (backend_type IS NULL AND datid IS NOT NULL AND usesysid IS NOT NULL)
GROUP BY 1, 2
"""


class DatabaseSettings(Section):
    """One database."""

    name: str
    """Name of the source, and value of the label `database`."""
    dsn: SecretStr | None = None
    """Address (`postgresql://user:password@host/database`); better kept in a file."""
    dsn_file: Path | None = None
    """File that holds the address; read again before each pass."""

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.dsn is None) == (self.dsn_file is None):
            raise ValueError("give either dsn or dsn_file")
        return self

    def address(self) -> str:
        """Return the DSN. Raises PermanentError when its file cannot be read."""
        if self.dsn is not None:
            return self.dsn.get_secret_value()
        try:
            return Path(self.dsn_file or "").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise PermanentError(f"cannot read {self.dsn_file}: {type(error).__name__}") from error


class Settings(Section):
    """Which databases are asked."""

    databases: tuple[DatabaseSettings, ...] = ()
    """The databases."""
    interval: Duration = timedelta(seconds=15)
    """Time between two passes."""
    timeout: Duration = timedelta(seconds=10)
    """Time that a pass may take, connecting included."""
    statement_timeout: Duration = timedelta(seconds=2)
    """Time after which the server gives up a query of ours."""


class Server:
    """One database, over one connection that stays."""

    def __init__(self, database: DatabaseSettings, settings: Settings, clients: Clients) -> None:
        self._database = database
        self._settings = settings
        self._clients = clients
        self._address = ""
        self._connection: Database | None = None

    async def collect(self) -> Collected:
        """Ask once. A database that cannot be reached is a sample of 0, not an error.

        Raises PermanentError when it is ours that is wrong (address, password, rights): nothing is
        known of the database then.
        """
        try:
            rows = await (await self._connected()).fetch(QUERY)
        except TransientError:
            return Collected([Sample(UP, (self._database.name,), 0.0)])
        return activity(self._database.name, rows)

    async def _connected(self) -> Database:
        """Return the connection to the present address; an earlier one is closed."""
        address = self._database.address()
        if self._connection is None or address != self._address:
            if self._connection is not None:
                await self._connection.close()
            self._address = address
            self._connection = self._clients.database(
                address, statement_timeout=self._settings.statement_timeout
            )
        return self._connection


def activity(name: str, rows: Sequence[Mapping[str, object]]) -> Collected:
    """Turn the rows of QUERY into what is published of database `name`."""
    used, usable = 0, 0
    here = dict.fromkeys((*STATES.values(), OTHER), 0)
    for row in rows:
        count = _number(row["connections"])
        used += count
        usable = _number(row["usable"])
        if row["here"]:
            here[STATES.get(str(row["state"]), OTHER)] += count
    samples = [
        Sample(UP, (name,), 1.0),
        *(Sample(CONNECTIONS, (name, state), count) for state, count in here.items()),
        Sample(USED, (name,), used),
    ]
    if usable <= 0:  # all connections are reserved: there is no limit to compare with
        return Collected(samples)
    samples.append(Sample(LIMIT, (name,), usable))
    ratio = Reading("database_connections_ratio", (("database", name),), used / usable)
    return Collected(samples, [ratio])


def _number(value: object) -> int:
    """Return a column that PostgreSQL says is an integer; one that is NULL counts 0."""
    return value if isinstance(value, int) else 0


def sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    """Return one source for each database."""
    return [
        PolledSource(
            database.name,
            settings.interval,
            settings.timeout,
            Server(database, settings, clients).collect,
        )
        for database in settings.databases
    ]


SPEC = CollectorSpec(
    name="postgres",
    help="Reachability and connections of PostgreSQL databases.",
    settings=Settings,
    metrics=(UP, CONNECTIONS, USED, LIMIT),
    sources=sources,
    kpis=("database_connections_ratio",),
)
