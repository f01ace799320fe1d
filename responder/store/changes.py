"""What has changed since somebody last looked, cheaply: for pages that stay open."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.store.tables import steps, switches, timeline

LOOK_BACK = 100
"""Facts looked at again each time: with several writers a lower number may be committed later."""

MOST = 500
"""Facts read at once; more than this are as good as everything."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far somebody has seen."""

    fact: int = 0
    intent_at: datetime | None = None
    switched_at: datetime | None = None
    seen: frozenset[int] = frozenset()
    """The last facts, by number."""


@dataclass(frozen=True, slots=True)
class News:
    """What is new."""

    mark: Mark
    incidents: frozenset[int]
    switched: bool


class Changes:
    """Reads over several tables within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def mark(self) -> Mark:
        """Return how far there is anything to be seen."""
        newest = (await self._connection.execute(select(func.max(timeline.c.id)))).scalar_one()
        return (await self.since(Mark(newest or 0))).mark

    async def since(self, mark: Mark) -> News:
        """Return what is new since `mark`, and the mark to ask with next time."""
        found = await self._facts(mark.fact - LOOK_BACK)
        new = {incident for number, incident in found if number not in mark.seen}
        intent_at = await self._latest(steps.c.intent_at)
        if intent_at != mark.intent_at:
            new |= await self._tried_since(mark.intent_at or intent_at)
        switched_at = await self._latest(switches.c.set_at)
        numbers = sorted(number for number, _ in found)
        newest = max([mark.fact, *numbers])
        return News(
            Mark(newest, intent_at, switched_at, frozenset(numbers)),
            frozenset(new),
            switched_at != mark.switched_at,
        )

    async def _latest(self, column: Column[datetime]) -> datetime | None:
        return (await self._connection.execute(select(func.max(column)))).scalar_one()

    async def _facts(self, after: int) -> list[tuple[int, int]]:
        statement = (
            select(timeline.c.id, timeline.c.incident_id)
            .where(timeline.c.id > after)
            .order_by(timeline.c.id)
            .limit(MOST)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [(row["id"], row["incident_id"]) for row in rows]

    async def _tried_since(self, at: datetime | None) -> set[int]:
        statement = select(steps.c.incident_id).where(steps.c.intent_at >= at).limit(MOST)
        return set((await self._connection.execute(statement)).scalars())
