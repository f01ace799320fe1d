"""Switches that people throw: `kill` stops every effect."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.store.rows import insert_into
from responder.store.tables import switches


@dataclass(frozen=True, slots=True)
class Switch:
    """The state of a switch and who set it."""

    on: bool
    by: str
    at: datetime
    reason: str = ""
    """In words, or empty."""


class Switches:
    """The `switches` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, name: str) -> Switch | None:
        """Return a switch; None when it was never set."""
        statement = select(switches).where(switches.c.name == name)
        row = (await self._connection.execute(statement)).mappings().first()
        if row is None:
            return None
        return Switch(row["is_on"], row["set_by"], row["set_at"], row["reason"] or "")

    async def set(self, name: str, switch: Switch) -> None:
        """Throw a switch."""
        newer = {
            "is_on": switch.on,
            "set_by": switch.by,
            "set_at": switch.at,
            "reason": switch.reason,
        }
        statement = insert_into(self._connection, switches).values(name=name, **newer)
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=("name",), set_=newer)
        )
