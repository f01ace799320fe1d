"""The beginning and the end of a run, as the store sees them."""

from dataclasses import replace
from datetime import datetime, timedelta

from exporter.shared.errors import PermanentError
from responder.domain.episode import holding
from responder.domain.incident import (
    BY_ALERT,
    BY_UNDO,
    CURES,
    Incident,
    IncidentStatus,
    Run,
    RunStatus,
)
from responder.domain.plan import RunResult
from responder.domain.planner import steps_of
from responder.domain.policy import Limits, Mode, Runbook, StepDef
from responder.domain.timeline import Fact, Kind, Phase
from responder.engine import messages
from responder.engine.services import Services
from responder.store.database import Transaction

UNDO_LIMITS = Limits(cooldown=timedelta(0), per_hour=1_000, per_day=1_000)


async def create(
    services: Services,
    tx: Transaction,
    incident: Incident,
    runbook: Runbook,
    *,
    requested_by: str,
    not_before: datetime | None = None,
) -> Run:
    """Freeze `runbook` with the steps that will be taken, and queue it."""
    now = services.now()
    roles = {name: spec.role.value for name, spec in services.actions.items()}
    frozen = replace(runbook, steps=steps_of(runbook, roles))
    run = await tx.runs.create(incident.id, frozen, incident.target, requested_by, now, not_before)
    steps = ", ".join(step.action for step in frozen.steps)
    later = f", not before {not_before:%Y-%m-%d %H:%M:%S} UTC" if not_before else ""
    mode = f"{runbook.mode.value}{later}"
    await tx.timeline.add(
        incident.id,
        Fact(
            key=f"run-{run.number}:created",
            at=now,
            phase=Phase.ASSESSMENT,
            kind=Kind.RUN_STARTED,
            text=f"Run {run.number} of runbook {runbook.name} ({mode}): {steps}.",
            facts={"run": run.number, "runbook": runbook.name, "mode": runbook.mode.value},
            actor=requested_by,
        ),
    )
    return run


async def create_undo(
    services: Services, tx: Transaction, run: Run, step: StepDef, not_before: datetime
) -> None:
    """Queue the run that takes an effect of `run` back; the gate judges it when it is due.

    It waits for no cooldown and counts against no target's budget: what is put back was allowed.
    """
    incident = await tx.incidents.get(run.incident_id)
    if incident is None:
        raise PermanentError(f"there is no incident {run.incident_id}")
    runbook = Runbook(f"undo {step.action}", (), "", Mode.ACT, (step,), UNDO_LIMITS)
    await create(services, tx, incident, runbook, requested_by=BY_UNDO, not_before=not_before)


async def begin(services: Services, incident_id: int, number: int) -> Run:
    """Mark the run as running and return it; safe to repeat."""
    async with services.store.transaction() as tx:
        run = await tx.runs.get(incident_id, number)
        if run is None:
            raise PermanentError(f"incident {incident_id} has no run {number}")
        if run.status is RunStatus.WAITING:
            await tx.runs.started(incident_id, number, services.now())
    return run


async def is_over(services: Services, incident_id: int, number: int) -> bool:
    """Say whether the reason to act is gone: a person resolved it, or every alert did.

    What a person asked for has no alert as its reason, and what is taken back has none left.
    """
    async with services.store.reading() as tx:
        incident = await tx.incidents.get(incident_id)
        run = await tx.runs.get(incident_id, number)
        episodes = await tx.episodes.of_incident(incident_id)
    if run is not None and run.requested_by == BY_UNDO:
        return False
    if incident is None or run is None or incident.status is not IncidentStatus.OPEN:
        return True
    return run.requested_by == BY_ALERT and not holding(episodes)


async def end(
    services: Services, incident_id: int, number: int, result: RunResult, reason: str
) -> None:
    """Record how the run ended; unless it cured, level 1 is due at once. Safe to repeat."""
    now = services.now()
    async with services.store.transaction() as tx:
        run = await tx.runs.get(incident_id, number)
        incident = await tx.incidents.get(incident_id)
        if run is None or incident is None or run.status is RunStatus.ENDED:
            return
        await tx.runs.ended(incident_id, number, result, reason, now)
        text = f"Run {number} of runbook {run.runbook.name} ended {result.value}: {reason}."
        await tx.timeline.add(
            incident_id,
            Fact(
                key=f"run-{number}:ended",
                at=now,
                phase=Phase.MITIGATION,
                kind=Kind.RUN_ENDED,
                text=text,
                facts={"run": number, "result": result.value},
            ),
        )
        if result not in CURES:
            await _hand_over(services, tx, incident, run, text)
    services.metrics.runs.labels(result.value).inc()


async def _hand_over(
    services: Services, tx: Transaction, incident: Incident, run: Run, text: str
) -> None:
    """Give the incident to people: news for those told already, level 1 at once for the rest."""
    await tx.incidents.escalate_now(incident.id, text.rstrip("."))
    link = messages.link_to(services.settings.public_url, incident.id)
    message = messages.update(incident, f"run-{run.number}", text, link)
    await messages.queue(tx, messages.told(incident), message, services.now())
