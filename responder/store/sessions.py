"""Sessions of people at the console; a row holds the hash of an id, never the id."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.store.tables import sessions


@dataclass(frozen=True, slots=True)
class Session:
    """One login."""

    id: str
    """SHA-256 of the id in the cookie, in hex."""
    name: str
    """Of the token that it was opened with."""
    began_at: datetime
    ends_at: datetime


class Sessions:
    """The `sessions` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self, session: Session) -> None:
        """Store a login."""
        statement = insert(sessions).values(
            id=session.id, name=session.name, began_at=session.began_at, ends_at=session.ends_at
        )
        await self._connection.execute(statement)

    async def get(self, session_id: str, now: datetime) -> Session | None:
        """Return a session that is in force."""
        found = await self._all(_in_force(now).where(sessions.c.id == session_id))
        return found[0] if found else None

    async def in_force(self, now: datetime, limit: int) -> list[Session]:
        """Return the sessions in force, newest first."""
        newest = (sessions.c.began_at.desc(), sessions.c.id)
        return await self._all(_in_force(now).order_by(*newest).limit(limit))

    async def end(self, session_id: str, by: str) -> bool:
        """End a session before its time; False when there is none or it was ended."""
        statement = (
            update(sessions)
            .where(sessions.c.id == session_id, sessions.c.ended_by.is_(None))
            .values(ended_by=by)
            .returning(sessions.c.id)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def forget(self, before: datetime) -> None:
        """Delete the sessions whose time was over before."""
        await self._connection.execute(delete(sessions).where(sessions.c.ends_at < before))

    async def _all(self, statement: Select[tuple[object, ...]]) -> list[Session]:
        return [
            Session(row["id"], row["name"], row["began_at"], row["ends_at"])
            for row in (await self._connection.execute(statement)).mappings()
        ]


def _in_force(now: datetime) -> Select[tuple[object, ...]]:
    return select(sessions).where(sessions.c.ends_at > now, sessions.c.ended_by.is_(None))
