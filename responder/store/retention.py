"""What may be forgotten, found by an index and deleted a little at a time.

An incident goes as a whole or not at all, and it stays while anything about it may still matter:

- its alert fires on (an open episode): a repeat of it must find the episode, or it would be taken
  for a new alert and open an incident. Only an alert that nobody has repeated for `SILENCE` and for
  the time that incidents are kept is believed to be gone without a word;
- it resolved only lately: an older delivery of it that comes late is known by the end of its
  episode, and 7 days (the least time that can be set) are more than Alertmanager remembers;
- a run of it waits or goes on, or a message about it is not sent;
- the gate counts an effect of it: it looks a day back at most, over steps of any incident.

Action keys stay unique for ever: they begin with the incident's number, and neither database gives
a number again (AUTOINCREMENT, a sequence). So do the keys of messages about incidents.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Table, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.domain.incident import IncidentStatus, RunStatus
from responder.store.tables import (
    dead_letters,
    episodes,
    evidence,
    inbox,
    incidents,
    outbox,
    runs,
    steps,
    timeline,
)
from responder.store.types import QueueState

SILENCE = timedelta(days=30)
"""Longer than anybody lets Alertmanager wait before it repeats what fires (`repeat_interval`; by
default 4 hours, and it forgets that it told after 5 days)."""

OF_INCIDENTS = (episodes, steps, runs, timeline, evidence, outbox)
"""Tables whose rows belong to an incident and go with it, in an order that foreign keys allow."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """Until when what is over may be forgotten."""

    incidents: datetime
    deliveries: datetime
    silence: datetime
    """Alerts that were last repeated before this fire no more, whatever was not said."""

    @classmethod
    def at(cls, now: datetime, incidents: timedelta, deliveries: timedelta) -> "Horizon":
        """Return what is out of sight for times to keep it."""
        return cls(now - incidents, now - deliveries, now - max(incidents, SILENCE))


class Retention:
    """Reads and deletes over several tables within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def forget_rows(self, table: str, horizon: Horizon, limit: int) -> int:
        """Delete rows that belong to no incident, the oldest first; return how many."""
        of, old, order = _lonely(horizon)[table]
        chosen = select(of.c.id).where(old).order_by(order).limit(limit)
        statement = delete(of).where(of.c.id.in_(chosen.scalar_subquery()))
        return (await self._connection.execute(statement)).rowcount

    async def forgettable(self, horizon: Horizon, limit: int) -> list[int]:
        """Return incidents that may be forgotten, by when they were closed."""
        oldest = (incidents.c.closed_at, incidents.c.id)
        statement = select(incidents.c.id).where(_over(horizon)).order_by(*oldest).limit(limit)
        return list((await self._connection.execute(statement)).scalars())

    async def forget_incident(self, incident_id: int, horizon: Horizon) -> dict[str, int]:
        """Delete one incident with all that belongs to it, unless it may no longer be.

        Returns the rows deleted by table; nothing when it stays or is gone already.
        """
        one = incidents.c.id == incident_id
        found = await self._connection.execute(select(incidents.c.id).where(one, _over(horizon)))
        if found.first() is None:
            return {}
        forgotten: dict[str, int] = {}
        for table in OF_INCIDENTS:
            statement = delete(table).where(table.c.incident_id == incident_id)
            forgotten[table.name] = (await self._connection.execute(statement)).rowcount
        await self._connection.execute(delete(incidents).where(one))
        return {**forgotten, incidents.name: 1}

    async def unfinished_of(self, incident_ids: Collection[int]) -> set[int]:
        """Return those of `incident_ids` whose workflows may be asked for again.

        They are live, or have a run that has not ended, or their alert fires on.
        """
        unfinished = or_(
            incidents.c.status != IncidentStatus.CLOSED,
            _any(runs, runs.c.status != RunStatus.ENDED),
            _any(episodes, episodes.c.ended_at.is_(None)),
        )
        wanted = incidents.c.id.in_(sorted(incident_ids))
        statement = select(incidents.c.id).where(wanted, unfinished)
        return set((await self._connection.execute(statement)).scalars())

    async def count(self, horizon: Horizon) -> dict[str, tuple[int, int]]:
        """Return how many rows each table has and how many of them may be forgotten.

        Reads every table whole: for people who ask, not for a daemon.
        """
        alone = _lonely(horizon)
        gone = select(incidents.c.id).where(_over(horizon)).scalar_subquery()
        old = {name: condition for name, (_, condition, _) in alone.items()}
        counted = {}
        for table in (inbox, dead_letters, incidents, *OF_INCIDENTS):
            conditions = [old[table.name]] if table.name in old else []
            if table is incidents:
                conditions.append(_over(horizon))
            elif table in OF_INCIDENTS:
                conditions.append(table.c.incident_id.in_(gone))
            counted[table.name] = (
                await self._rows(table),
                await self._rows(table, or_(*conditions)),
            )
        return counted

    async def _rows(self, table: Table, *which: ColumnElement[bool]) -> int:
        statement = select(func.count()).select_from(table).where(*which)
        return int((await self._connection.execute(statement)).scalar_one())


Lonely = dict[str, tuple[Table, ColumnElement[bool], ColumnElement[datetime]]]


def _lonely(horizon: Horizon) -> Lonely:
    """Return the tables with rows of no incident: which of them are old, the oldest by what."""
    ended = inbox.c.state != QueueState.PENDING
    about_us = and_(outbox.c.incident_id == 0, outbox.c.state != QueueState.PENDING)
    return {
        "inbox": (
            inbox,
            and_(ended, inbox.c.ended_at < horizon.deliveries),
            inbox.c.ended_at,
        ),
        "dead_letters": (
            dead_letters,
            dead_letters.c.at < horizon.deliveries,
            dead_letters.c.at,
        ),
        # A page about ourselves is sent once for its key: as long as the key is known.
        "outbox": (
            outbox,
            and_(about_us, outbox.c.ended_at < horizon.incidents),
            outbox.c.ended_at,
        ),
    }


def _over(horizon: Horizon) -> ColumnElement[bool]:
    """Return the condition that nothing about an incident matters any more."""
    before = horizon.incidents
    fires = and_(episodes.c.ended_at.is_(None), episodes.c.last_seen_at >= horizon.silence)
    going_on = or_(runs.c.status != RunStatus.ENDED, runs.c.ended_at >= before)
    return and_(
        incidents.c.status == IncidentStatus.CLOSED,
        incidents.c.closed_at < before,
        ~_any(episodes, or_(fires, episodes.c.ended_at >= before)),
        ~_any(runs, going_on),
        ~_any(steps, steps.c.intent_at >= before),
        ~_any(outbox, outbox.c.state == QueueState.PENDING),
    )


def _any(table: Table, which: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that an incident has such a row in `table`."""
    return select(table.c.incident_id).where(table.c.incident_id == incidents.c.id, which).exists()
