"""Steps as far as they got; the effects among them are what cooldowns and budgets count."""

from collections.abc import Collection
from dataclasses import fields
from datetime import datetime

from sqlalchemy import RowMapping, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.domain.incident import StepRecord
from responder.domain.plan import Outcome
from responder.domain.values import Target
from responder.store.rows import insert_into, is_about, target_of, target_values
from responder.store.tables import steps

KEY = ("incident_id", "step")
TRIED = and_(
    steps.c.effect.is_(True),
    steps.c.intent_at.is_not(None),
    or_(steps.c.outcome.is_(None), steps.c.outcome != Outcome.REFUSED),
)
"""An effect whose intent was recorded may have happened, whatever became of it."""

PLAIN = tuple(field.name for field in fields(StepRecord) if field.name != "target")


def _step(row: RowMapping) -> StepRecord:
    return StepRecord(target=target_of(row), **{name: row[name] for name in PLAIN})


class Steps:
    """The `steps` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, record: StepRecord) -> None:
        """Store a step, in place of what was stored of it before."""
        values = {name: getattr(record, name) for name in PLAIN} | target_values(record.target)
        statement = insert_into(self._connection, steps).values(values)
        newer = {name: value for name, value in values.items() if name not in KEY}
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=KEY, set_=newer)
        )

    async def of_run(self, incident_id: int, run: int) -> list[StepRecord]:
        """Return the steps of one run by number."""
        statement = select(steps).where(steps.c.incident_id == incident_id, steps.c.run == run)
        rows = (await self._connection.execute(statement.order_by(steps.c.step))).mappings()
        return [_step(row) for row in rows]

    async def of_incident(self, incident_id: int) -> list[StepRecord]:
        """Return the steps of all runs of an incident by number."""
        statement = select(steps).where(steps.c.incident_id == incident_id)
        rows = (await self._connection.execute(statement.order_by(steps.c.step))).mappings()
        return [_step(row) for row in rows]

    async def unfinished_of(self, incident_ids: Collection[int]) -> list[StepRecord]:
        """Return the steps of several incidents that have begun and not ended."""
        wanted = steps.c.incident_id.in_(sorted(incident_ids))
        statement = select(steps).where(wanted, steps.c.outcome.is_(None))
        ordered = statement.order_by(steps.c.incident_id, steps.c.step)
        rows = (await self._connection.execute(ordered)).mappings()
        return [_step(row) for row in rows]

    async def effects_on(self, target: Target, since: datetime) -> list[tuple[datetime, int, int]]:
        """Return when, by which incident and by which run a target was acted on since `since`."""
        statement = (
            select(steps.c.intent_at, steps.c.incident_id, steps.c.run)
            .where(is_about(steps, target), TRIED, steps.c.intent_at >= since)
            .order_by(steps.c.intent_at)
        )
        rows = (await self._connection.execute(statement)).mappings()
        return [(row["intent_at"], row["incident_id"], row["run"]) for row in rows]

    async def effects_since(self, since: datetime) -> list[datetime]:
        """Return when anything was acted on since `since`, oldest first."""
        statement = (
            select(steps.c.intent_at)
            .where(TRIED, steps.c.intent_at >= since)
            .order_by(steps.c.intent_at)
        )
        return list((await self._connection.execute(statement)).scalars())
