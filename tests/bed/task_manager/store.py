"""The tasks table; every call is bounded, and a database that comes back is found again."""

from typing import TypedDict

import asyncpg

TIMEOUT_SECONDS = 3.0
"""Of one question to the database; so long that a crowd meets a slow page, no failing one."""
NAMED = {"application_name": "task-manager"}
# IF NOT EXISTS alone fails when two pods create at once, so they take turns.
SCHEMA = """
SELECT pg_advisory_xact_lock(8000);
CREATE TABLE IF NOT EXISTS tasks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL,
    done boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS sessions (
    user_name text PRIMARY KEY,
    last_seen timestamptz NOT NULL
)
"""
NEWEST = "SELECT id, title, done FROM tasks ORDER BY id DESC LIMIT 50"
ONE = "SELECT id, title, done FROM tasks WHERE id = $1"
INSERT = "INSERT INTO tasks (title) VALUES ($1) RETURNING id, title, done"
SEEN = """
INSERT INTO sessions (user_name, last_seen) VALUES ($1, now())
ON CONFLICT (user_name) DO UPDATE SET last_seen = now()
"""

FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was thrown out in the middle of a request
    OSError,
    TimeoutError,
)


class Task(TypedDict):
    """A row, as the API shows it."""

    id: int
    title: str
    done: bool


class StoreError(Exception):
    """The database did not do as asked; its message says why."""


class Store:
    """Connects when first asked, so that the application starts without its database."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: asyncpg.Pool
        self._has_table = False
        self._leaked: list[asyncpg.Connection[asyncpg.Record]] = []

    async def open(self) -> None:
        """Make ready; without a minimum size the pool opens no connection yet."""
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=5,
            timeout=TIMEOUT_SECONDS,
            command_timeout=TIMEOUT_SECONDS,
            server_settings=NAMED,
        )

    async def leak(self) -> None:
        """Open a session that nobody will close. Raises StoreError."""
        try:
            self._leaked.append(
                await asyncpg.connect(self._dsn, timeout=TIMEOUT_SECONDS, server_settings=NAMED)
            )
        except FAILURES as error:
            raise StoreError(f"database: {type(error).__name__}") from error

    @property
    def leaked(self) -> int:
        """How many sessions were leaked."""
        return len(self._leaked)

    async def newest(self) -> list[Task]:
        """Return up to 50 tasks, newest first. Raises StoreError."""
        return await self._rows(NEWEST)

    async def one(self, number: int) -> Task | None:
        """Return a task, if there is one. Raises StoreError."""
        return next(iter(await self._rows(ONE, number)), None)

    async def add(self, title: str) -> Task:
        """Create a task. Raises StoreError."""
        return (await self._rows(INSERT, title))[0]

    async def seen(self, user: str) -> None:
        """Note that a user is here. Raises StoreError."""
        await self._rows(SEEN, user)

    async def close(self) -> None:
        """Drop every connection at once."""
        self._pool.terminate()

    async def _rows(self, sql: str, *values: object) -> list[Task]:
        try:
            async with self._pool.acquire(timeout=TIMEOUT_SECONDS) as connection:
                if not self._has_table:
                    await connection.execute(SCHEMA)
                    self._has_table = True
                rows = await connection.fetch(sql, *values)
        except FAILURES as error:
            reason = " ".join(str(error).split())
            raise StoreError(f"database: {type(error).__name__}: {reason}") from error
        return [Task(id=row["id"], title=row["title"], done=row["done"]) for row in rows]
