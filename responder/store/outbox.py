"""Messages to people, on their way."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import RowMapping, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.contract import Notification
from responder.store.rows import Rows, claim, insert_into
from responder.store.tables import outbox
from responder.store.types import QueueState

PENDING = outbox.c.state == QueueState.PENDING


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """A message for one receiver."""

    id: int
    key: str
    receiver: str
    notification: Notification
    attempts: int
    created_at: datetime
    state: QueueState
    error: str
    """Of the last attempt, or empty."""
    ended_at: datetime | None
    """When it was sent or given up."""


def _item(row: RowMapping) -> OutboxItem:
    return OutboxItem(
        id=row["id"],
        key=row["key"],
        receiver=row["receiver"],
        notification=Notification(**row["notification"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
        state=row["state"],
        error=row["error"],
        ended_at=row["ended_at"],
    )


class Outbox:
    """The `outbox` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: str, receiver: str, notification: Notification, at: datetime) -> bool:
        """Queue a message, due at once; False when its key was queued before."""
        statement = (
            insert_into(self._connection, outbox)
            .values(
                key=key,
                receiver=receiver,
                incident_id=notification.incident_id,
                notification=asdict(notification),
                created_at=at,
                state=QueueState.PENDING,
                attempts=0,
                next_at=at,
                error="",
            )
            .on_conflict_do_nothing(index_elements=("key",))
            .returning(outbox.c.id)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def claim(self, executor: str, limit: int, now: datetime) -> list[OutboxItem]:
        """Return what is to be sent now, for `executor` alone while it holds its lease."""
        due = and_(PENDING, outbox.c.next_at <= now)
        found = await self._all(claim(outbox, executor, due, outbox.c.next_at, limit))
        return sorted(found, key=lambda item: item.id)

    async def sent(self, item_id: int, at: datetime) -> None:
        """Mark one as delivered."""
        await self._set(item_id, state=QueueState.DONE, error="", ended_at=at)

    async def retry(self, item_id: int, error: str, next_at: datetime) -> None:
        """Count an attempt and put the next one off."""
        await self._set(item_id, attempts=outbox.c.attempts + 1, error=error, next_at=next_at)

    async def failed(self, item_id: int, error: str, at: datetime) -> None:
        """Give one up; it is kept with its reason."""
        await self._set(
            item_id,
            state=QueueState.FAILED,
            attempts=outbox.c.attempts + 1,
            error=error,
            ended_at=at,
        )

    async def depth(self) -> int:
        """Return how many wait to be sent."""
        statement = select(func.count()).select_from(outbox).where(PENDING)
        return int((await self._connection.execute(statement)).scalar_one())

    async def stuck(self, before: datetime) -> list[OutboxItem]:
        """Return what was queued before a moment and still waits, oldest first."""
        return await self._all(
            select(outbox).where(PENDING, outbox.c.created_at < before).order_by(outbox.c.id)
        )

    async def of_incident(self, incident_id: int) -> list[OutboxItem]:
        """Return every message about an incident, in the order queued."""
        return await self._all(
            select(outbox).where(outbox.c.incident_id == incident_id).order_by(outbox.c.id)
        )

    async def _set(self, item_id: int, **values: object) -> None:
        await self._connection.execute(
            update(outbox).where(outbox.c.id == item_id).values(**values)
        )

    async def _all(self, statement: Rows) -> list[OutboxItem]:
        return [_item(row) for row in (await self._connection.execute(statement)).mappings()]
