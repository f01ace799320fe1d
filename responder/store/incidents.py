"""Incidents; at most one is live per (cluster, target), and the database holds that."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.domain.incident import Incident, IncidentStatus
from responder.domain.policy import Level, runbook_from_json, runbook_to_json
from responder.domain.values import Json, JsonObject, Target
from responder.store.rows import is_about, labels_value, target_of, target_values
from responder.store.tables import incidents

LIVE = incidents.c.status != IncidentStatus.CLOSED
MICROSECOND = timedelta(microseconds=1)


def levels_to_json(levels: Sequence[Level]) -> list[Json]:
    """Freeze escalation levels; `levels_from_json` reads them back equal."""
    return [
        {"after_us": level.after // MICROSECOND, "notify": list(level.notify)} for level in levels
    ]


def levels_from_json(document: Sequence[JsonObject]) -> tuple[Level, ...]:
    """Read frozen escalation levels."""
    return tuple(_level(item) for item in document)


def _level(item: JsonObject) -> Level:
    match item:
        case {"after_us": int(after), "notify": list(notify)}:
            return Level(after * MICROSECOND, tuple(str(name) for name in notify))
        case _:
            raise ValueError(f"not a frozen escalation level: {item}")


def _incident(row: RowMapping) -> Incident:
    return Incident(
        id=row["id"],
        cluster=row["cluster"],
        target=target_of(row),
        status=row["status"],
        title=row["title"],
        severity=row["severity"],
        labels=row["labels"],
        opened_at=row["opened_at"],
        runbook=None if row["runbook"] is None else runbook_from_json(row["runbook"]),
        escalation=levels_from_json(row["escalation"]),
        target_problem=row["target_problem"],
        resolved_at=row["resolved_at"],
        resolved_by=row["resolved_by"],
        acked_at=row["acked_at"],
        acked_by=row["acked_by"],
        told_level=row["told_level"],
        escalate_now=row["escalate_now"],
        held_at=row["held_at"],
        held_by=row["held_by"] or "",
    )


def _from_policy(incident: Incident) -> dict[str, object]:
    runbook = incident.runbook
    return {
        "title": incident.title,
        "severity": incident.severity,
        "labels": labels_value(incident.labels),
        "runbook": None if runbook is None else runbook_to_json(runbook),
        "escalation": levels_to_json(incident.escalation),
        "target_problem": incident.target_problem,
    }


class Incidents:
    """The `incidents` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def live_for(self, cluster: str, target: Target) -> Incident | None:
        """Return the incident of a target that is OPEN or RESOLVED."""
        statement = select(incidents).where(
            incidents.c.cluster == cluster, is_about(incidents, target), LIVE
        )
        row = (await self._connection.execute(statement)).mappings().first()
        return None if row is None else _incident(row)

    async def open(self, incident: Incident) -> Incident:
        """Open an incident; its id is given here, whatever the value says.

        Raises ConflictError when the target has a live one.
        """
        statement = insert(incidents).values(
            cluster=incident.cluster,
            **target_values(incident.target),
            status=incident.status,
            opened_at=incident.opened_at,
            **_from_policy(incident),
            resolved_at=incident.resolved_at,
            resolved_by=incident.resolved_by,
            acked_at=incident.acked_at,
            acked_by=incident.acked_by,
            told_level=incident.told_level,
            escalate_now=incident.escalate_now,
        )
        result = await self._connection.execute(statement.returning(incidents))
        return _incident(result.mappings().one())

    async def adopt(self, incident_id: int, incident: Incident) -> None:
        """Give an incident what the policy says of a graver alert that joined it.

        Takes title, severity, labels, runbook, escalation, target_problem and opened_at; nobody
        counts as told of it yet.
        """
        fresh = {"opened_at": incident.opened_at, "told_level": 0, "escalate_now": ""}
        await self._set(incident_id, **_from_policy(incident), **fresh)

    async def get(self, incident_id: int) -> Incident | None:
        """Return one incident."""
        statement = select(incidents).where(incidents.c.id == incident_id)
        row = (await self._connection.execute(statement)).mappings().first()
        return None if row is None else _incident(row)

    async def open_ids(self) -> list[int]:
        """Return the ids of the incidents that are OPEN or RESOLVED, oldest first."""
        statement = select(incidents.c.id).where(LIVE).order_by(incidents.c.id)
        return [int(one) for one in (await self._connection.execute(statement)).scalars()]

    async def count_open(self) -> int:
        """Return how many incidents are OPEN."""
        statement = select(func.count()).where(incidents.c.status == IncidentStatus.OPEN)
        return (await self._connection.execute(statement)).scalar_one()

    async def ack(self, incident_id: int, by: str, at: datetime) -> bool:
        """Acknowledge an open incident; False when it is not open or was acknowledged before."""
        statement = (
            update(incidents)
            .where(
                incidents.c.id == incident_id,
                incidents.c.status == IncidentStatus.OPEN,
                incidents.c.acked_at.is_(None),
            )
            .values(acked_by=by, acked_at=at)
            .returning(incidents.c.id)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def hold(self, incident_id: int, by: str, at: datetime) -> bool:
        """Hold an open incident; False when it is not open or is held already."""
        statement = (
            update(incidents)
            .where(
                incidents.c.id == incident_id,
                incidents.c.status == IncidentStatus.OPEN,
                incidents.c.held_at.is_(None),
            )
            .values(held_by=by, held_at=at)
            .returning(incidents.c.id)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def resume(self, incident_id: int) -> bool:
        """End a hold; False when there is none."""
        statement = (
            update(incidents)
            .where(incidents.c.id == incident_id, incidents.c.held_at.is_not(None))
            .values(held_by=None, held_at=None)
            .returning(incidents.c.id)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def resolve(self, incident_id: int, by: str, at: datetime) -> None:
        """Mark an incident as over, and its hold; a refire within the cooldown may reopen it."""
        over = {"status": IncidentStatus.RESOLVED, "resolved_by": by, "resolved_at": at}
        await self._set(incident_id, **over, held_by=None, held_at=None)

    async def reopen(self, incident_id: int, at: datetime) -> None:  # noqa: ARG002 - of the API
        """Open a resolved incident again; its clocks (opened_at, told_level) go on."""
        await self._set(incident_id, status=IncidentStatus.OPEN, resolved_by="", resolved_at=None)

    async def close(self, incident_id: int, at: datetime) -> None:
        """Close an incident for good."""
        await self._set(incident_id, status=IncidentStatus.CLOSED, closed_at=at)

    async def told(self, incident_id: int, level: int) -> None:
        """Record the highest escalation level told."""
        await self._set(incident_id, told_level=level)

    async def escalate_now(self, incident_id: int, reason: str) -> None:
        """Make level 1 due at once, for `reason`."""
        await self._set(incident_id, escalate_now=reason)

    async def _set(self, incident_id: int, **values: object) -> None:
        await self._connection.execute(
            update(incidents).where(incidents.c.id == incident_id).values(**values)
        )

    async def list(self, status: Collection[IncidentStatus] | None, limit: int) -> list[Incident]:
        """Return incidents of any of these statuses (None: all), newest first."""
        statement = select(incidents).order_by(incidents.c.id.desc()).limit(limit)
        if status is not None:
            statement = statement.where(incidents.c.status.in_(sorted(status)))
        return [_incident(row) for row in (await self._connection.execute(statement)).mappings()]
