"""SQLite as the store uses it: how a connection is set up, and where its statements run."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec, TypeVar, cast

import aiosqlite
from sqlalchemy import URL, AdaptedConnection, Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from typing_extensions import override

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT = timedelta(seconds=2)
"""How long SQLite waits for another *program* that has the file; ours queue without it."""

WAITING = frozenset({"commit", "close", "execute_waiting"})
"""What may wait for the disk or for another program: it belongs on the connection's thread."""


class InPlaceConnection(aiosqlite.Connection):
    """Runs statements where they are asked for, and only what may wait on its thread.

    A statement of ours takes SQLite tens of microseconds, a trip to a thread and back several times
    that: while webhooks pour in, each trip also lets every one of them go first. The method that is
    overridden is not public: without it all would go to the thread again, and a test would tell.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True  # what hangs in it dies with the process

    @override
    async def _execute(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._connection is None or fn.__name__ in WAITING:
            return cast("T", await super()._execute(fn, *args, **kwargs))  # type: ignore[no-untyped-call]  # aiosqlite leaves it untyped
        return fn(*args, **kwargs)

    async def begin_immediate(self) -> None:
        """Become the writer, which may have to wait for another program."""

        def execute_waiting() -> None:
            self._conn.execute("BEGIN IMMEDIATE").close()

        await self._execute(execute_waiting)


def connect(url: URL) -> sqlite3.Connection:
    """Open the file, ready for use, for one thread at a time, whichever that is."""
    connection = _open(url)
    _prepare(connection, None)
    return connection


def engine(url: URL, *, writes: bool, size: int, wait: float) -> AsyncEngine:
    """Return an engine whose every transaction begins as a writer's, or as a reader's."""

    def create() -> InPlaceConnection:
        return InPlaceConnection(lambda: _open(url))

    # No rollback when a connection is given back, since ours always end, and one BEGIN of our own.
    made = create_async_engine(
        url, pool_size=size, pool_timeout=wait, pool_reset_on_return=None, async_creator=create
    )

    def say_begin(connection: Connection) -> None:
        adapted = cast("AdaptedConnection", connection.connection.dbapi_connection)
        if writes:
            adapted.run_async(lambda driver: cast("InPlaceConnection", driver).begin_immediate())
        else:
            adapted.run_async(lambda driver: driver.execute_fetchall("BEGIN"))

    event.listen(made.sync_engine, "connect", _prepare)
    event.listen(made.sync_engine, "begin", say_begin)
    return made


def _open(url: URL) -> sqlite3.Connection:
    return sqlite3.connect(url.database or ":memory:", check_same_thread=False)


def _prepare(connection: sqlite3.Connection, _record: object) -> None:
    """Set what a connection needs; WAL with synchronous=FULL loses nothing on a power cut."""
    connection.isolation_level = None  # we say BEGIN ourselves; sqlite3 would say it too late
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT.total_seconds() * 1000)}")
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
