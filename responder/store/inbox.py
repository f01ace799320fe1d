"""Deliveries as they came, waiting to become alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.store.rows import Rows, claim
from responder.store.tables import inbox
from responder.store.types import QueueState

PENDING = inbox.c.state == QueueState.PENDING


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery that was decoded well and is not yet stored."""

    received_at: datetime
    source: str
    """Who delivered: the name of the token or user."""
    body: bytes
    """Raw, as it came."""


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A stored delivery."""

    id: int
    received_at: datetime
    source: str
    body: bytes
    attempts: int


def _values(delivery: NewDelivery) -> dict[str, object]:
    return {
        "received_at": delivery.received_at,
        "source": delivery.source,
        "body": delivery.body,
        "state": QueueState.PENDING,
        "attempts": 0,
        "error": "",
    }


class Inbox:
    """The `inbox` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def append(self, delivery: NewDelivery) -> int:
        """Store one delivery and return its id."""
        statement = insert(inbox).values(_values(delivery)).returning(inbox.c.id)
        return int((await self._connection.execute(statement)).scalar_one())

    async def pending(self, limit: int) -> list[InboxItem]:
        """Return what waits, oldest first, whoever works on it."""
        return await self._all(select(inbox).where(PENDING).order_by(inbox.c.id).limit(limit))

    async def claim(self, executor: str, limit: int, now: datetime) -> list[InboxItem]:
        """Return the oldest that wait, for `executor` alone while it holds its lease.

        What it claimed before is among them; what `retry_later` put off beyond `now` is not.
        """
        due = and_(PENDING, or_(inbox.c.not_before.is_(None), inbox.c.not_before <= now))
        found = await self._all(claim(inbox, executor, due, inbox.c.id, limit))
        return sorted(found, key=lambda item: item.id)

    async def done(self, item_ids: Sequence[int], at: datetime) -> None:
        """Mark some as worked on."""
        await self._end(item_ids, QueueState.DONE, "", at)

    async def failed(self, item_id: int, error: str, at: datetime) -> None:
        """Give one up; it is kept with its reason."""
        await self._end([item_id], QueueState.FAILED, error, at)

    async def retry_later(self, item_id: int, error: str, not_before: datetime) -> None:
        """Count an attempt and put the next one off."""
        await self._connection.execute(
            update(inbox)
            .where(inbox.c.id == item_id)
            .values(attempts=inbox.c.attempts + 1, error=error, not_before=not_before)
        )

    async def waits(self, source: str) -> bool:
        """Say whether something that `source` delivered is not yet worked on."""
        statement = select(inbox.c.id).where(PENDING, inbox.c.source == source).limit(1)
        return (await self._connection.execute(statement)).first() is not None

    async def depth(self) -> int:
        """Return how many wait."""
        statement = select(func.count()).select_from(inbox).where(PENDING)
        return int((await self._connection.execute(statement)).scalar_one())

    async def oldest_pending(self) -> datetime | None:
        """Return when the oldest one that waits was received."""
        statement = select(inbox.c.received_at).where(PENDING).order_by(inbox.c.id).limit(1)
        received_at: datetime | None = (await self._connection.execute(statement)).scalar()
        return received_at

    async def _end(
        self, item_ids: Sequence[int], state: QueueState, error: str, at: datetime
    ) -> None:
        await self._connection.execute(
            update(inbox)
            .where(inbox.c.id.in_(item_ids))
            .values(state=state, error=error, ended_at=at)
        )

    async def _all(self, statement: Rows) -> list[InboxItem]:
        rows = (await self._connection.execute(statement)).mappings()
        return [
            InboxItem(row["id"], row["received_at"], row["source"], row["body"], row["attempts"])
            for row in rows
        ]
