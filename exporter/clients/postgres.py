"""One read-only connection to a PostgreSQL database."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from exporter.shared.errors import PermanentError, TransientError
from exporter.sql_port import QueryDelayedError, QueryRefusedError

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

Rows = Sequence[Mapping[str, object]]

CONNECT_DEADLINE = timedelta(seconds=5)
"""Time that a database has to let us in."""

LOCK_TIMEOUT = timedelta(milliseconds=250)
"""Longest wait for a lock in a database: we only look, and must not queue up behind writers."""

GRACE = timedelta(seconds=1)
"""What we wait longer than the server's own statement timeout, so that the server ends first."""

# SQLSTATE: appendix A of PostgreSQL's manual.
AWAY = ("08", "57P01", "57P02", "57P03", "57P05")
"""SQLSTATEs, or classes of them, after which the connection is gone: the server left, or threw us
out."""

PASSING = ("40", "53", "55", "57", "58")
"""Classes that may pass by themselves: rollback, resources, object not ready, operator
intervention, system error. All others will be said again."""

NO_ENTRY_YET = (*PASSING, "08", "3D")
"""Classes that may pass when we are not let in: also a broken connection, and a database that is
not there."""

REASONS = {
    "55P03": "lock",
    "57014": "timeout",
    "42501": "privilege",
    "25006": "read_only",
    "42P01": "missing",  # table
    "42703": "missing",  # column
    "42883": "missing",  # function
    "3F000": "missing",  # schema
    "55000": "missing",  # an extension whose library the server has not loaded
}
OTHER = "Other"


class PostgresDatabase:
    """One read-only connection, opened when first used and again after it was lost.

    No message of its errors holds any part of the DSN. Queries wait for each other.
    """

    def __init__(self, dsn: str, application_name: str, statement_timeout: timedelta) -> None:
        self._dsn = dsn
        self._application_name = application_name
        self._statement_timeout = statement_timeout
        self._alone = asyncio.Lock()
        self._connection: Connection | None = None

    async def fetch(self, query: str, *args: object) -> Rows:
        """Run a query and return all its rows. Raises as ports.Database says."""
        async with self._asking() as connection:
            # A Record does what our own queries need of a Mapping: [], get and items.
            return cast("Rows", await connection.fetch(query, *args))

    async def fetch_some(self, query: str, *, rows: int, within: timedelta) -> Rows:
        """Run somebody's query in a transaction that cannot write, also when it asks to.

        Returns its first `rows` rows. Raises as ports.Database says.
        """
        async with self._asking() as connection, connection.transaction(readonly=True):
            await connection.execute(f"SET LOCAL statement_timeout = {_milliseconds(within)}")
            cursor = await connection.cursor(query)
            return [dict(row) for row in await cursor.fetch(rows)]

    async def close(self) -> None:
        """Close the connection; a later query would open it again."""
        async with self._alone:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                try:
                    await connection.close(timeout=GRACE.total_seconds())
                except TimeoutError:
                    connection.terminate()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator["Connection"]:
        """Lend the connection for one query, and translate what goes wrong with it."""
        import asyncpg  # noqa: PLC0415 - only who watches a database pays for its driver

        async with self._alone:
            try:
                connection = await self._opened()
                try:
                    yield connection
                except asyncpg.PostgresError as error:
                    raise self._translated(error) from error
            except (
                TimeoutError,
                OSError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
            ) as error:
                self._drop()
                raise TransientError(f"the database is away: {type(error).__name__}") from error

    def _drop(self) -> None:
        """Give up the connection without asking the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _opened(self) -> "Connection":
        """Return the connection, opening it when there is none."""
        import asyncpg  # noqa: PLC0415 - see _asking

        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        limit = self._statement_timeout
        if "://" not in self._dsn:  # asyncpg would take an empty one for the machine's own server
            raise PermanentError("the DSN is not a valid one")
        try:
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_DEADLINE.total_seconds(),
                command_timeout=(limit + GRACE).total_seconds(),
                server_settings={
                    "application_name": self._application_name,
                    "default_transaction_read_only": "on",
                    "statement_timeout": _milliseconds(limit),
                    "lock_timeout": _milliseconds(LOCK_TIMEOUT),
                    "timezone": "UTC",  # a day in a query is a UTC day
                    "jit": "off",  # compiling a query takes longer than any of ours runs
                },
            )
        except (ValueError, asyncpg.ClientConfigurationError):
            # Their messages quote the DSN, so neither they nor their chain may be shown.
            raise PermanentError("the DSN is not a valid one") from None
        except asyncpg.PostgresError as error:
            kind = TransientError if _sqlstate(error)[:2] in NO_ENTRY_YET else PermanentError
            raise kind(_said(error)) from error
        return self._connection

    def _translated(self, error: "asyncpg.PostgresError") -> TransientError | PermanentError:
        """Return our error for what the server said about a query."""
        state = _sqlstate(error)
        if state.startswith(AWAY):
            self._drop()
            return TransientError(_said(error))
        kind = QueryDelayedError if state[:2] in PASSING else QueryRefusedError
        return kind(_said(error), REASONS.get(state, OTHER))


def _milliseconds(duration: timedelta) -> str:
    return str(round(duration.total_seconds() * 1000))


def _sqlstate(error: "asyncpg.PostgresError") -> str:
    return error.sqlstate or ""


def _said(error: "asyncpg.PostgresError") -> str:
    """Return what the server said; its own words can hold names from the DSN, or data."""
    return f"PostgreSQL said {type(error).__name__} ({_sqlstate(error)})"
