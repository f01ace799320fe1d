"""Which replicas are alive, by their own word.

Whether a lease has run out is nobody's `renewed_at`, for replicas' clocks differ: whoever watches
it sees that `renewals` has not moved for as long as a lease lasts, by a clock of its own.
"""

from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.store.tables import leases


class Leases:
    """The `leases` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self, executor: str, at: datetime) -> None:
        """Begin a lease; an executor is never used twice."""
        values = {"executor": executor, "taken_at": at, "renewed_at": at, "renewals": 0}
        await self._connection.execute(insert(leases).values(values))

    async def renew(self, executor: str, at: datetime) -> bool:
        """Say that the executor lives on; False when it was evicted."""
        statement = (
            update(leases)
            .where(leases.c.executor == executor)
            .values(renewals=leases.c.renewals + 1, renewed_at=at)
            .returning(leases.c.renewals)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def holds(self, executor: str) -> bool:
        """Say whether the executor holds its lease, and go on holding it until the commit.

        An eviction waits for this transaction, or is seen by it.
        """
        statement = select(leases.c.executor).where(leases.c.executor == executor)
        locked = statement.with_for_update(key_share=True, read=True)
        return (await self._connection.execute(locked)).first() is not None

    async def all(self) -> dict[str, int]:
        """Return how often each lease was renewed, by executor, the oldest first."""
        oldest = (leases.c.taken_at, leases.c.executor)
        statement = select(leases.c.executor, leases.c.renewals).order_by(*oldest)
        return {row.executor: row.renewals for row in await self._connection.execute(statement)}

    async def evict(self, executor: str, renewals: int) -> bool:
        """End a lease that was renewed that often and no more; False when it is not so."""
        statement = (
            delete(leases)
            .where(leases.c.executor == executor, leases.c.renewals == renewals)
            .returning(leases.c.executor)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def give_back(self, executor: str) -> None:
        """End one's own lease."""
        await self._connection.execute(delete(leases).where(leases.c.executor == executor))
