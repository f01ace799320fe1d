"""The store: connections, transactions, and errors that say what to do.

One writer at a time in this process: SQLite has one anyway, and its own way of waiting (sleep and
try again) starves whoever sleeps longest; here writers queue in order. Readers see a snapshot and
wait for nobody.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from sqlalchemy import URL, make_url, text
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from exporter.shared.errors import ConflictError, RunbookdError, TransientError
from responder.store import postgres, schema, sqlite
from responder.store.append import Appender, PostgresAppender, SqliteAppender
from responder.store.changes import Changes
from responder.store.dead_letters import DeadLetters
from responder.store.episodes import Episodes
from responder.store.evidence import EvidenceTexts
from responder.store.inbox import Inbox, NewDelivery
from responder.store.incidents import Incidents
from responder.store.leases import Leases
from responder.store.outbox import Outbox
from responder.store.retention import Retention
from responder.store.runs import Runs
from responder.store.sessions import Sessions
from responder.store.steps import Steps
from responder.store.switches import Switches
from responder.store.timeline import Timeline

POOL_TIMEOUT = timedelta(seconds=5)
"""How long a reader waits for a free connection: half of the 10 s that Alertmanager gives us."""
WAIT = POOL_TIMEOUT.total_seconds()
READERS = 4
CLOSE_TIMEOUT = timedelta(seconds=5)
"""How long `close` waits for transactions in flight."""


class StoreUnavailableError(TransientError):
    """The store is down, locked, full or closed; nothing of the transaction was kept."""


class Transaction:
    """The aggregates, all bound to one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.inbox = Inbox(connection)
        self.dead_letters = DeadLetters(connection)
        self.episodes = Episodes(connection)
        self.incidents = Incidents(connection)
        self.runs = Runs(connection)
        self.steps = Steps(connection)
        self.timeline = Timeline(connection)
        self.evidence = EvidenceTexts(connection)
        self.outbox = Outbox(connection)
        self.switches = Switches(connection)
        self.leases = Leases(connection)
        self.sessions = Sessions(connection)
        self.changes = Changes(connection)
        self.retention = Retention(connection)


class Store:
    """An open database; made by `open`, ended by `close`. Belongs to one event loop."""

    def __init__(self, url: str) -> None:
        self._writing = asyncio.Lock()
        if _is_postgres(url):
            self._postgres = True
            self._writer = postgres.engine(url, writes=True, size=1, wait=WAIT)
            self._reader = postgres.engine(url, writes=False, size=READERS, wait=WAIT)
            self._aside = postgres.engine(url, writes=True, size=2, wait=WAIT)
            self._appender: Appender = PostgresAppender(self._aside)
        else:
            file = _sqlite_url(url)
            self._postgres = False
            self._writer = sqlite.engine(file, writes=True, size=1, wait=WAIT)
            self._reader = sqlite.engine(file, writes=False, size=READERS, wait=WAIT)
            self._aside = self._writer
            self._appender = SqliteAppender(lambda: sqlite.connect(file))
        self._fence = ""
        self._leave: Callable[[], NoReturn] = _stay
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @classmethod
    async def open(cls, url: str, *, migrate: bool) -> "Store":
        """Open `sqlite:///path` or `postgresql://…`.

        With `migrate` the schema is upgraded first; without it, an old schema raises RunbookdError
        naming the command, and so does a file that is not there: none is made. Raises
        StoreUnavailableError when the database cannot be reached.
        """
        if not migrate:
            _refuse_if_absent(url)
        store = cls(url)
        try:
            async with store._connection(store._writer) as connection:
                if migrate:
                    await store._queue_up(connection)
                    await connection.run_sync(schema.upgrade)
                else:
                    await connection.run_sync(schema.refuse_if_old)
        except BaseException:
            await store.close()
            raise
        return store

    @classmethod
    async def migrate(cls, url: str) -> str:
        """Upgrade the schema to the newest revision and say what was done.

        Safe to repeat, beside another that does the same, and beside running replicas: revisions
        only add. Raises StoreUnavailableError.
        """
        store = cls(url)
        try:
            async with store._connection(store._writer) as connection:
                await store._queue_up(connection)
                return await connection.run_sync(schema.upgrade)
        finally:
            await store.close()

    @property
    def is_shared(self) -> bool:
        """Whether other replicas may write into it too."""
        return self._postgres

    def fence(self, executor: str, leave: Callable[[], NoReturn]) -> None:
        """Have every further write call `leave` unless `executor` still holds its lease."""
        self._fence = executor
        self._leave = leave

    async def close(self) -> None:
        """Wait for transactions in flight (bounded) and end every connection and its thread."""
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT.total_seconds()):
                await self._idle.wait()
        except TimeoutError:
            pass  # SQLAlchemy's connection threads are daemons: what hangs dies with the process
        await self._appender.close()
        for engine in (self._writer, self._reader, self._aside):
            await engine.dispose()

    async def ping(self) -> None:
        """Raise StoreUnavailableError unless the database answers."""
        async with self._connection(self._reader) as connection:
            await connection.execute(text("SELECT 1"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a write transaction: committed at the end, rolled back by any error.

        Never open one inside another: the inner would wait for the outer for ever. Raises
        StoreUnavailableError, and ConflictError where the database's own uniqueness says no.
        """
        async with self._writing, self._connection(self._writer) as connection:
            await self._queue_up(connection)
            tx = Transaction(connection)
            if self._fence and not await tx.leases.holds(self._fence):
                self._leave()
            yield tx

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[Transaction]:
        """Open a write transaction that waits for no other replica and is not fenced.

        For leases: a statement in it sees what was committed when it began.
        """
        if self._postgres:
            async with self._connection(self._aside) as connection:
                yield Transaction(connection)
        else:
            async with self.transaction() as tx:
                yield tx

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Open a transaction that sees one moment of the database; writes in it are lost."""
        async with self._connection(self._reader) as connection:
            yield Transaction(connection)

    async def inbox_append(self, bodies: Sequence[NewDelivery]) -> None:
        """Store deliveries durably, with one commit. Raises StoreUnavailableError."""
        # SQLite's writers queue here; PostgreSQL's need not, since nobody reads what is appended.
        async with nullcontext() if self._postgres else self._writing, self._counted():
            try:
                with _translated():
                    await self._appender.append(bodies)
            except _driver_errors(self._writer) as error:
                raise StoreUnavailableError(f"the store is unavailable: {error}") from error

    @asynccontextmanager
    async def _connection(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        async with self._counted():
            with _translated():
                connection = await _connect(engine)
                try:
                    async with connection.begin():
                        yield connection
                finally:
                    await connection.close()

    async def _queue_up(self, connection: AsyncConnection) -> None:
        if self._postgres:
            await postgres.queue_up(connection)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        """Keep `close` waiting. Raises StoreUnavailableError once the store is closed."""
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        self._in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()


def _stay() -> NoReturn:
    raise AssertionError("nobody said what an evicted replica does")


async def _connect(engine: AsyncEngine) -> AsyncConnection:
    """Check a connection out."""
    try:
        return await engine.connect()
    except ValueError:  # asyncpg's quotes the connection string, with the password in it
        raise RunbookdError("the store's connection string is not a valid one") from None
    except _driver_errors(engine) as error:
        raise StoreUnavailableError(f"the database cannot be reached: {error}") from error


def _driver_errors(engine: AsyncEngine) -> tuple[type[Exception], ...]:
    """Return what comes of a database that is away where SQLAlchemy does not wrap it.

    The driver is asked for by way of the dialect, so that only the database in use needs its own.
    """
    driver = getattr(engine.dialect.dbapi, "asyncpg", None)
    if driver is None:
        return (sqlite3.Error, OSError)
    # The internal one comes where the server throws a connection out in the middle of a request.
    return (
        driver.PostgresError,
        driver.InterfaceError,
        driver.InternalClientError,
        OSError,
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(f"the database refuses it: {error.orig}") from error
    except (ProgrammingError, DataError, NotSupportedError) as error:
        raise RunbookdError(f"a mistake of ours: {error}") from error
    except DBAPIError as error:
        raise StoreUnavailableError(f"the store is unavailable: {error.orig}") from error
    except sqlite3.OperationalError as error:  # of our own BEGIN, which SQLAlchemy does not wrap
        raise StoreUnavailableError(f"the store is unavailable: {error}") from error
    except PoolTimeoutError as error:
        raise StoreUnavailableError("no connection to the store became free") from error


def _is_postgres(url: str) -> bool:
    match url.partition(":")[0]:
        case "sqlite":
            return False
        case "postgresql" | "postgres":
            return True
        case other:
            raise RunbookdError(f"the store knows sqlite and postgresql, not {other}")


def _refuse_if_absent(url: str) -> None:
    """Raise RunbookdError where a store of SQLite has no file yet: to connect would make it."""
    path = None if _is_postgres(url) else make_url(url).database
    if path and not Path(path).exists():
        raise RunbookdError(
            f"there is no store at {path}:"
            " `alert-responder serve` or `alert-responder migrate` makes one"
        )


def _sqlite_url(url: str) -> URL:
    parsed = make_url(url)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return parsed.set(drivername="sqlite+aiosqlite")
