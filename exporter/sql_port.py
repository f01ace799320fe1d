"""The port to databases: what collectors ask PostgreSQL through, and how it can fail."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from exporter.shared.errors import PermanentError, TransientError


class QueryDelayedError(TransientError):
    """The database is there and did not answer this query in time: a lock, a slow disk, a full one.

    `reason` is one word for a label: `lock`, `timeout` or `Other`.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class QueryRefusedError(PermanentError):
    """The database is there and will not answer this query, however often it is asked.

    `reason` is one word for a label: `privilege`, `missing`, `read_only` or `Other`.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Database(Protocol):
    """One read-only connection to a PostgreSQL database, opened when first used.

    Each query raises QueryDelayedError or QueryRefusedError where it alone failed. Otherwise it
    raises TransientError when the database is away and PermanentError when it does not let us in.
    """

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, object]]:
        """Run a query and return all its rows."""
        ...

    async def fetch_some(
        self, query: str, *, rows: int, within: timedelta
    ) -> Sequence[Mapping[str, object]]:
        """Run a query that somebody else wrote, in a read-only transaction of its own.

        Returns its first `rows` rows; the server gives it up after `within`.
        """
        ...

    async def close(self) -> None:
        """Close the connection; a later query would open it again."""
        ...


class Console(Protocol):
    """The admin console of a pgbouncer."""

    async def show(self, what: str) -> Sequence[Mapping[str, object]]:
        """Return the rows of `SHOW what`.

        Raises QueryRefusedError where this alone is refused, TransientError when pgbouncer is away
        or lets nobody in, PermanentError when the address is none.
        """
        ...

    async def close(self) -> None:
        """Close the connection; a later question would open it again."""
        ...
