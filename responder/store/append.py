"""The one write that must be fast: deliveries into the inbox, past SQLAlchemy.

A commit through SQLAlchemy is five trips to a driver's thread and a good millisecond of CPU beside
them. Here it is one statement, which is a transaction by itself: one trip, and on SQLite one time
that Python's lock is given back and asked for again, however many deliveries share the commit.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Protocol, cast

from sqlalchemy.ext.asyncio import AsyncEngine
from typing_extensions import override

from responder.store.inbox import NewDelivery
from responder.store.types import QueueState, micros

if TYPE_CHECKING:
    from sqlalchemy import PoolProxiedConnection

COLUMNS = "received_at, source, body, state, attempts, error"
ROW = f"(?, ?, ?, '{QueueState.PENDING}', 0, '')"
MOST_ROWS = 5000
"""SQLite takes 32,766 parameters (SQLITE_MAX_VARIABLE_NUMBER since 3.32); a row needs 3."""

FROM_ARRAYS = f"""
INSERT INTO inbox ({COLUMNS})
SELECT received_at, source, body, '{QueueState.PENDING}', 0, ''
FROM unnest($1::bigint[], $2::text[], $3::bytea[]) WITH ORDINALITY
    AS given(received_at, source, body, place)
ORDER BY place
"""  # noqa: S608 - no value of anybody's is in it

Work = Callable[[sqlite3.Connection], object]


class Driver(Protocol):
    """What is needed of asyncpg."""

    async def execute(self, query: str, *args: object) -> str:
        """Run one statement, which commits by itself."""
        ...

    def is_closed(self) -> bool:
        """Say whether the server has hung up, as far as is known."""
        ...


class Appender(Protocol):
    """Stores deliveries; what its driver raises is its own."""

    async def append(self, deliveries: Sequence[NewDelivery]) -> None:
        """Store all of them durably, or none."""
        ...

    async def close(self) -> None:
        """Give the connection back; safe twice, and before the first `append`."""
        ...


class SqliteAppender(Appender):
    """Appends on a connection and a thread of its own, both made by the first `append`."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._thread = _ConnectionThread(connect)

    @override
    async def append(self, deliveries: Sequence[NewDelivery]) -> None:
        if len(deliveries) > MOST_ROWS:
            raise ValueError(f"{len(deliveries)} deliveries do not fit one statement")
        statement = f"INSERT INTO inbox ({COLUMNS}) VALUES {', '.join([ROW] * len(deliveries))}"  # noqa: S608 - no value of anybody's is in it
        values: list[object] = []
        for one in deliveries:
            values += (micros(one.received_at), one.source, one.body)
        await self.run(lambda connection: connection.execute(statement, values).close())

    @override
    async def close(self) -> None:
        await self._thread.end()

    async def run(self, work: Work) -> None:
        """Do something else with the connection."""
        await self._thread.run(work)


class PostgresAppender(Appender):
    """Appends on a connection of `engine`'s that it keeps, bare of SQLAlchemy's transactions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: PoolProxiedConnection | None = None

    @override
    async def append(self, deliveries: Sequence[NewDelivery]) -> None:
        kept, self._kept = self._kept, None
        if kept is not None and cast("Driver", kept.driver_connection).is_closed():
            kept.invalidate()  # by a server that was restarted meanwhile
            kept = None
        kept = kept or await self._engine.raw_connection()
        try:
            await cast("Driver", kept.driver_connection).execute(
                FROM_ARRAYS,
                [micros(one.received_at) for one in deliveries],
                [one.source for one in deliveries],
                [one.body for one in deliveries],
            )
        except BaseException:
            kept.invalidate()  # who knows what it is good for: the next one begins anew
            raise
        self._kept = kept

    @override
    async def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.invalidate()
        await self._engine.dispose()


class _ConnectionThread:
    """Runs work on one SQLite connection, in the order given, in a thread that holds up no exit."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._work: SimpleQueue[tuple[Work | None, asyncio.Future[None]]] = SimpleQueue()
        self._thread: Thread | None = None

    async def run(self, work: Work) -> None:
        """Return when `work` is done; raises what it raised."""
        if self._thread is None:
            self._thread = Thread(target=self._forever, name="inbox-append", daemon=True)
            self._thread.start()
        done = asyncio.get_running_loop().create_future()
        self._work.put((work, done))
        await done

    async def end(self) -> None:
        """Let the thread close the connection and end, once what was given is done."""
        thread, self._thread = self._thread, None
        if thread is not None:
            done = asyncio.get_running_loop().create_future()
            self._work.put((None, done))
            await done

    def _forever(self) -> None:
        connection: sqlite3.Connection | None = None
        while True:
            work, done = self._work.get()
            try:
                if work is None:
                    break
                connection = connection or self._connect()
                work(connection)
            except BaseException as error:  # noqa: BLE001 - it belongs to who gave the work
                _tell(done, error)
            else:
                _tell(done, None)
        if connection is not None:
            connection.close()
        _tell(done, None)


def _tell(done: asyncio.Future[None], error: BaseException | None) -> None:
    def tell() -> None:
        if done.done():  # whoever waited has gone
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    done.get_loop().call_soon_threadsafe(tell)
