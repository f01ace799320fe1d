"""What was delivered and could not be decoded, kept so that nothing is lost without a trace."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.store.tables import dead_letters


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row of `dead_letters`."""

    id: int
    at: datetime
    source: str
    reason: str
    size: int
    """Bytes of the whole body, as far as it was read."""
    sha256: str
    """Of what `size` counts, in hex."""
    head: bytes
    """The first 64 KiB at most."""


class DeadLetters:
    """The `dead_letters` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self, at: datetime, source: str, reason: str, size: int, sha256: str, head: bytes
    ) -> int:
        """Store one and return its id."""
        statement = insert(dead_letters).values(
            at=at, source=source, reason=reason, size=size, sha256=sha256, head=head
        )
        result = await self._connection.execute(statement.returning(dead_letters.c.id))
        return int(result.scalar_one())

    async def list(self, limit: int) -> list[DeadLetter]:
        """Return the newest, newest first."""
        statement = select(dead_letters).order_by(dead_letters.c.id.desc()).limit(limit)
        rows = (await self._connection.execute(statement)).mappings()
        return [
            DeadLetter(
                id=row["id"],
                at=row["at"],
                source=row["source"],
                reason=row["reason"],
                size=row["size"],
                sha256=row["sha256"],
                head=row["head"],
            )
            for row in rows
        ]

    async def count(self) -> int:
        """Return how many there are."""
        statement = select(func.count()).select_from(dead_letters)
        return int((await self._connection.execute(statement)).scalar_one())
