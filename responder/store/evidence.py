"""What was collected about an incident before anything was changed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.store.rows import insert_into
from responder.store.tables import evidence


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence."""

    step_key: str
    name: str
    text: str
    at: datetime


class EvidenceTexts:
    """The `evidence` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(
        self, incident_id: int, step_key: str, name: str, text: str, at: datetime
    ) -> None:
        """Store a piece of evidence, in place of an earlier one of the same step and name."""
        statement = insert_into(self._connection, evidence).values(
            incident_id=incident_id, step_key=step_key, name=name, text=text, at=at
        )
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=("incident_id", "step_key", "name"), set_={"text": text, "at": at}
            )
        )

    async def of_incident(self, incident_id: int) -> list[Evidence]:
        """Return the evidence of an incident by time."""
        statement = (
            select(evidence)
            .where(evidence.c.incident_id == incident_id)
            .order_by(evidence.c.at, evidence.c.step_key, evidence.c.name)
        )
        return [
            Evidence(row["step_key"], row["name"], row["text"], row["at"])
            for row in (await self._connection.execute(statement)).mappings()
        ]
