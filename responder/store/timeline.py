"""The facts of an incident: added, never changed."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.domain.timeline import Fact
from responder.store.rows import insert_into
from responder.store.tables import timeline


class Timeline:
    """The `timeline` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, incident_id: int, fact: Fact) -> bool:
        """Add a fact; False when its key was there already, and then nothing is changed."""
        statement = (
            insert_into(self._connection, timeline)
            .values(
                incident_id=incident_id,
                key=fact.key,
                at=fact.at,
                phase=fact.phase,
                kind=fact.kind,
                text=fact.text,
                facts=fact.facts,
                actor=fact.actor,
            )
            .on_conflict_do_nothing(index_elements=("incident_id", "key"))
            .returning(timeline.c.id)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def of_incident(self, incident_id: int) -> list[Fact]:
        """Return the facts of an incident by time; of the same time, in the order added."""
        statement = (
            select(timeline)
            .where(timeline.c.incident_id == incident_id)
            .order_by(timeline.c.at, timeline.c.id)
        )
        return [
            Fact(
                key=row["key"],
                at=row["at"],
                phase=row["phase"],
                kind=row["kind"],
                text=row["text"],
                facts=row["facts"],
                actor=row["actor"],
            )
            for row in (await self._connection.execute(statement)).mappings()
        ]
