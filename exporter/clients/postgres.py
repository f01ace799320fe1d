"""One read-only connection to a PostgreSQL database."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from exporter.clients.http import USER_AGENT
from exporter.shared.errors import PermanentError, TransientError

if TYPE_CHECKING:
    import asyncpg

CONNECT_DEADLINE = timedelta(seconds=5)
"""Time that a database has to let us in."""

LOCK_TIMEOUT = timedelta(milliseconds=250)
"""Longest wait for a lock in a database: we only look, and must not queue up behind writers."""

GRACE = timedelta(seconds=1)
"""What we wait longer than the server's own statement timeout, so that the server ends first."""

AWAY = ("08", "3D", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE that may pass by themselves: connection, database gone, rollback, resources,
object not ready, operator intervention, system error. All others will be said again."""


class PostgresDatabase:
    """One read-only connection, opened when first used and again after it was lost."""

    def __init__(self, dsn: str, statement_timeout: timedelta) -> None:
        self._dsn = dsn
        self._statement_timeout = statement_timeout
        self._alone = asyncio.Lock()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, object]]:
        """Run a query. Raises TransientError (away, busy, too slow) or PermanentError.

        No message holds any part of the DSN. Queries wait for each other.
        """
        import asyncpg  # noqa: PLC0415 - only who watches a database pays for its driver

        async with self._alone:
            try:
                connection = await self._opened()
                # A Record is a Mapping in all but name: it has keys, values and items.
                return cast("list[Mapping[str, object]]", await connection.fetch(query, *args))
            except asyncpg.PostgresError as error:
                raise _translated(error) from error
            except (
                TimeoutError,
                OSError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
            ) as error:
                self._drop()
                raise TransientError(f"the database is away: {type(error).__name__}") from error

    async def fetch_value(self, query: str, *args: object) -> object:
        """Run a query and return the first column of its first row, None without a row."""
        rows = await self.fetch(query, *args)
        return next(iter(rows[0].values())) if rows else None

    async def close(self) -> None:
        """Close the connection; a later query would open it again."""
        async with self._alone:
            connection, self._connection = self._connection, None
            if connection is not None and not connection.is_closed():
                try:
                    await connection.close(timeout=GRACE.total_seconds())
                except TimeoutError:
                    connection.terminate()

    def _drop(self) -> None:
        """Give up the connection without asking the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _opened(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Return the connection, opening it when there is none."""
        import asyncpg  # noqa: PLC0415 - see fetch

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
                    "application_name": USER_AGENT,
                    "default_transaction_read_only": "on",
                    "statement_timeout": _milliseconds(limit),
                    "lock_timeout": _milliseconds(LOCK_TIMEOUT),
                },
            )
        except (ValueError, asyncpg.ClientConfigurationError):
            # Their messages quote the DSN, so neither they nor their chain may be shown.
            raise PermanentError("the DSN is not a valid one") from None
        return self._connection


def _milliseconds(duration: timedelta) -> str:
    return str(round(duration.total_seconds() * 1000))


def _translated(error: "asyncpg.PostgresError") -> TransientError | PermanentError:
    """Return our error for what the server said; its own words can hold names from the DSN."""
    state = error.sqlstate or ""
    said = f"PostgreSQL said {type(error).__name__} ({state})"
    return TransientError(said) if state[:2] in AWAY else PermanentError(said)
