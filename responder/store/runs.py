"""Runs of an incident, each with the runbook it was frozen with."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import RowMapping, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.domain.incident import Run, RunStatus
from responder.domain.plan import RunResult
from responder.domain.policy import Runbook, runbook_from_json, runbook_to_json
from responder.domain.values import Target
from responder.store.rows import is_about, target_of, target_values
from responder.store.tables import runs

IN_ORDER = (runs.c.created_at, runs.c.incident_id, runs.c.number)


def _run(row: RowMapping) -> Run:
    return Run(
        incident_id=row["incident_id"],
        number=row["number"],
        runbook=runbook_from_json(row["runbook"]),
        target=target_of(row),
        requested_by=row["requested_by"],
        first_step=row["first_step"],
        created_at=row["created_at"],
        status=row["status"],
        result=row["result"],
        reason=row["reason"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        not_before=row["not_before"],
    )


class Runs:
    """The `runs` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def create(
        self,
        incident_id: int,
        runbook: Runbook,
        target: Target,
        requested_by: str,
        created_at: datetime,
        not_before: datetime | None = None,
    ) -> Run:
        """Queue a run; its number and its first step follow the incident's runs so far."""
        earlier = await self.of_incident(incident_id)
        last = earlier[-1] if earlier else None
        statement = insert(runs).values(
            incident_id=incident_id,
            number=last.number + 1 if last else 1,
            runbook=runbook_to_json(runbook),
            **target_values(target),
            requested_by=requested_by,
            first_step=last.first_step + len(last.runbook.steps) if last else 1,
            created_at=created_at,
            status=RunStatus.WAITING,
            not_before=not_before,
            reason="",
        )
        result = await self._connection.execute(statement.returning(runs))
        return _run(result.mappings().one())

    async def get(self, incident_id: int, number: int) -> Run | None:
        """Return one run."""
        found = await self._all(
            select(runs).where(runs.c.incident_id == incident_id, runs.c.number == number)
        )
        return found[0] if found else None

    async def of_incident(self, incident_id: int) -> list[Run]:
        """Return the runs of an incident by number."""
        return await self._all(
            select(runs).where(runs.c.incident_id == incident_id).order_by(runs.c.number)
        )

    async def of_incidents(self, incident_ids: Collection[int]) -> list[Run]:
        """Return the runs of several incidents, by incident and number."""
        wanted = runs.c.incident_id.in_(sorted(incident_ids))
        return await self._all(
            select(runs).where(wanted).order_by(runs.c.incident_id, runs.c.number)
        )

    async def unfinished_on(self, target: Target) -> list[Run]:
        """Return the runs on a target that wait or run, oldest first."""
        return await self._all(
            select(runs)
            .where(is_about(runs, target), runs.c.status != RunStatus.ENDED)
            .order_by(*IN_ORDER)
        )

    async def waiting(self) -> list[Run]:
        """Return the runs that have not started, oldest first."""
        return await self._all(
            select(runs).where(runs.c.status == RunStatus.WAITING).order_by(*IN_ORDER)
        )

    async def started(self, incident_id: int, number: int, at: datetime) -> None:
        """Mark a run as running."""
        await self._set(incident_id, number, status=RunStatus.RUNNING, started_at=at)

    async def ended(
        self, incident_id: int, number: int, result: RunResult, reason: str, at: datetime
    ) -> None:
        """Mark a run as over."""
        await self._set(
            incident_id,
            number,
            status=RunStatus.ENDED,
            result=result,
            reason=reason,
            ended_at=at,
        )

    async def _set(self, incident_id: int, number: int, **values: object) -> None:
        await self._connection.execute(
            update(runs)
            .where(runs.c.incident_id == incident_id, runs.c.number == number)
            .values(**values)
        )

    async def _all(self, statement: Select[tuple[object, ...]]) -> list[Run]:
        return [_run(row) for row in (await self._connection.execute(statement)).mappings()]
