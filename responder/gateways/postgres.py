"""PostgreSQL servers, as evidence reads them: short-lived connections that can change nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import asyncpg

from exporter.shared.errors import PermanentError, TransientError
from responder.contract import Session

DEADLINE = timedelta(seconds=5)
"""For connecting and reading: a server in trouble must not hold an incident up."""

QUERY_CHARACTERS = 200
"""Enough to recognise a statement by; more is somebody's data."""

MOST = 200
"""Sessions read, the longest in their state first; a server's limit is seldom higher."""

ACTIVITY = """
SELECT pid, usename, application_name, client_addr::text AS client, state,
       extract(epoch FROM $1 - state_change)::float8 AS seconds,
       wait_event_type, wait_event, left(query, $2) AS query
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY state_change NULLS LAST
LIMIT $3
"""

FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    TimeoutError,
    OSError,
)


class PostgresGateway:
    """Implements responder.contract.Databases."""

    def __init__(self, dsn_files: Mapping[str, Path]) -> None:
        """`dsn_files` maps names to files with a connection string, read at each connection."""
        self._dsn_files = dsn_files

    @property
    def names(self) -> Sequence[str]:
        """Return the configured databases."""
        return tuple(self._dsn_files)

    async def activity(self, name: str) -> Sequence[Session]:
        """Return the client sessions of the server, the longest in their state first.

        Raises TransientError (away, busy) or PermanentError (not configured, its DSN unreadable).
        No message holds any part of the DSN.
        """
        try:
            dsn = self._dsn_files[name].read_text().strip()
        except KeyError:
            raise PermanentError(f"database {name} is not in the settings") from None
        except OSError as error:
            raise PermanentError(f"the DSN of database {name} cannot be read") from error
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                return await _activity(dsn)
        except ValueError:  # its message quotes the DSN
            raise PermanentError(f"the DSN of database {name} is not a valid one") from None
        except FAILURES as error:
            raise TransientError(f"database {name}: {type(error).__name__}") from error


async def _activity(dsn: str) -> list[Session]:
    connection = await asyncpg.connect(
        dsn,
        server_settings={
            "application_name": "runbookd-responder",
            "default_transaction_read_only": "on",
            "statement_timeout": str(round(DEADLINE.total_seconds() * 1000)),
        },
    )
    try:
        now = await connection.fetchval("SELECT clock_timestamp()")  # the server's clock is meant
        rows = await connection.fetch(ACTIVITY, now, QUERY_CHARACTERS, MOST)
    finally:
        connection.terminate()
    return [
        Session(
            pid=row["pid"],
            user=row["usename"] or "",
            application=row["application_name"] or "",
            client=row["client"] or "",
            state=row["state"] or "",
            seconds=row["seconds"],
            wait="/".join(filter(None, (row["wait_event_type"], row["wait_event"]))),
            query=row["query"] or "",
        )
        for row in rows
    ]
