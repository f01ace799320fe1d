"""The admin console of a pgbouncer, which knows the simple query protocol alone.

Importing this imports the driver: only who watches a pgbouncer should.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

import psycopg
from psycopg.rows import dict_row
from typing_extensions import override

from exporter.clients.http import USER_AGENT
from exporter.shared.errors import PermanentError, TransientError
from exporter.sql_port import QueryRefusedError

CONNECT_DEADLINE = timedelta(seconds=5)
"""Time that a pgbouncer has to let us in."""


class _Connection(psycopg.AsyncConnection[dict[str, object]]):
    """A connection that is dropped where psycopg would ask the server to cancel a query.

    A pgbouncer that does not answer SHOW would not answer that either, for ten seconds.
    """

    @override
    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        self.pgconn.finish()


class PgbouncerConsole:
    """One connection, opened when first used and again after it was lost.

    No message of its errors holds any part of the DSN. Questions wait for each other.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._alone = asyncio.Lock()
        self._connection: _Connection | None = None

    async def show(self, what: str) -> Sequence[Mapping[str, object]]:
        """Return the rows of `SHOW what`. Raises as sql_port.Console says."""
        async with self._alone:
            connection = await self._opened()
            try:
                # A query without parameters goes by the simple protocol.
                cursor = await connection.execute(f"SHOW {what}")
                return list(await cursor.fetchall())
            except psycopg.Error as error:
                said = f"pgbouncer answered SHOW {what} with {type(error).__name__}"
                if connection.closed:
                    raise TransientError(said) from error
                raise QueryRefusedError(said, "Other") from error

    async def close(self) -> None:
        """Close the connection; a later question would open it again."""
        async with self._alone:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()

    async def _opened(self) -> _Connection:
        """Return the connection, opening it when there is none."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        if "://" not in self._dsn:  # libpq would fill in what an empty one lacks
            raise PermanentError("the DSN is not a valid one")
        try:
            self._connection = await _Connection.connect(
                self._dsn,
                autocommit=True,  # else BEGIN would come first, which the console does not know
                prepare_threshold=None,
                row_factory=dict_row,
                connect_timeout=round(CONNECT_DEADLINE.total_seconds()),
                application_name=USER_AGENT,
            )
        except (psycopg.ProgrammingError, UnicodeError):
            # Their messages quote the DSN, so neither they nor their chain may be shown.
            raise PermanentError("the DSN is not a valid one") from None
        except (psycopg.Error, OSError) as error:
            # Its words hold host and user, and do not tell a wrong password from a server away.
            said = f"pgbouncer is away or does not let us in: {type(error).__name__}"
            raise TransientError(said) from None
        return self._connection
