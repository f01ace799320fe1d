"""PostgreSQL as the store uses it: connections, and the order of the writers of all replicas."""

import hashlib
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

CONNECT_TIMEOUT = timedelta(seconds=5)
STATEMENT_TIMEOUT = timedelta(seconds=10)
"""For one statement, the wait for another replica's transaction included."""
IDLE_TIMEOUT = timedelta(seconds=5)
"""After which the server ends the transaction of a process that has frozen inside it. Shorter than
a lease and than STATEMENT_TIMEOUT: the others wait for it, and then go on."""

_WRITERS = int.from_bytes(hashlib.sha256(b"runbookd writers").digest()[:8], "big", signed=True)
"""Key of the advisory lock; any number will do that nobody else in the database uses."""


def engine(dsn: str, *, writes: bool, size: int, wait: float) -> AsyncEngine:
    """Return an engine. A reader sees one moment; a writer each statement's own, see `queue_up`."""
    seconds = CONNECT_TIMEOUT.total_seconds()
    return create_async_engine(
        "postgresql+asyncpg://",  # asyncpg reads the connection string itself, as libpq would
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait,
        pool_pre_ping=True,
        isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
        connect_args={
            "dsn": dsn,
            "timeout": seconds,
            "command_timeout": STATEMENT_TIMEOUT.total_seconds(),
            "server_settings": {
                "application_name": "runbookd",
                "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT / timedelta(seconds=1):g}s",
            },
        },
    )


async def queue_up(connection: AsyncConnection) -> None:
    """Wait until no other replica writes; held until the transaction ends.

    With it writers follow one another as on SQLite: what one has read is still so when it writes,
    and none is turned away for having read too early.
    """
    await connection.execute(select(func.pg_advisory_xact_lock(_WRITERS)))
