"""The life of an incident: what is due now, decided and written in one transaction."""

from dataclasses import replace
from datetime import datetime, timedelta

from exporter.shared.errors import RunbookdError
from responder.contract import Role
from responder.domain.escalation import due, next_due
from responder.domain.incident import Incident, IncidentStatus, Run, RunStatus
from responder.domain.plan import RunResult, SettledState
from responder.domain.planner import steps_of
from responder.domain.policy import Limits, Runbook
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import JsonObject
from responder.engine import messages
from responder.engine.services import Services
from responder.engine.steps import look_again
from responder.store.database import Transaction

CURES = (RunResult.CURED, RunResult.COMPLETED, RunResult.STOPPED)
"""Results after which an incident may end once its alerts have resolved."""

BY_ALERT = "alert"
"""Who requested a run that no person asked for; no token may have this name."""

LONGEST_WAIT = timedelta(hours=1)
RECHECK = timedelta(seconds=15)
"""How often an incident whose alerts have resolved without a cure is verified afresh."""


async def tick(services: Services, incident_id: int) -> JsonObject:
    """Do what is due for one incident; safe to repeat.

    Returns `closed` (over for good), `runs` (numbers of runs to enqueue) and `wake_after` in
    seconds.
    """
    healed = await _healed_without_a_cure(services, incident_id)
    now = services.now()
    async with services.store.transaction() as tx:
        incident = await tx.incidents.get(incident_id)
        if incident is None or incident.status is IncidentStatus.CLOSED:
            return {"closed": True, "runs": [], "wake_after": 0}
        if incident.status is IncidentStatus.OPEN:
            await _escalate(services, tx, incident, now)
            await _ensure_run(services, tx, incident, now)
            incident = await _end_if_over(services, tx, incident, healed=healed, now=now)
        elif now >= _over_for_good_at(incident):
            await tx.incidents.close(incident.id, now)
            return {"closed": True, "runs": [], "wake_after": 0}
        runs = await tx.runs.of_incident(incident.id)
        waiting = [run.number for run in runs if run.status is RunStatus.WAITING]
        wake = await _wake_after(tx, incident, runs, now)
    return {
        "closed": False,
        "runs": list(waiting),
        "target": str(incident.target),
        "wake_after": wake.total_seconds(),
    }


async def create_run(
    services: Services,
    tx: Transaction,
    incident: Incident,
    runbook: Runbook,
    *,
    requested_by: str,
    now: datetime,
) -> Run:
    """Freeze `runbook` with the steps that will be taken, and queue it."""
    roles = {name: spec.role.value for name, spec in services.actions.items()}
    frozen = replace(runbook, steps=steps_of(runbook, roles))
    run = await tx.runs.create(incident.id, frozen, incident.target, requested_by, now)
    steps = ", ".join(step.action for step in frozen.steps)
    await tx.timeline.add(
        incident.id,
        Fact(
            key=f"run-{run.number}:created",
            at=now,
            phase=Phase.ASSESSMENT,
            kind=Kind.RUN_STARTED,
            text=f"Run {run.number} of runbook {runbook.name} ({runbook.mode.value}): {steps}.",
            facts={"run": run.number, "runbook": runbook.name, "mode": runbook.mode.value},
            actor=requested_by,
        ),
    )
    return run


async def _escalate(services: Services, tx: Transaction, incident: Incident, now: datetime) -> None:
    link = messages.link_to(services.settings.public_url, incident.id)
    for item in due(incident, now=now):
        message = messages.page(incident, item, link)
        receivers = await messages.queue(tx, item.notify, message, now)
        await tx.incidents.told(incident.id, item.level)
        await tx.timeline.add(
            incident.id,
            Fact(
                key=message.key,
                at=now,
                phase=Phase.DETECTION if item.level == 1 else Phase.INVESTIGATION,
                kind=Kind.ESCALATED,
                text=f"Level {item.level} told ({', '.join(item.notify)}): {item.reason}.",
                facts={"level": item.level, "receivers": list(receivers)},
            ),
        )


async def _ensure_run(
    services: Services, tx: Transaction, incident: Incident, now: datetime
) -> None:
    """Start a run where none was tried, and again when a cured incident fired anew.

    A run that failed is not tried again by itself: people were told and are on it.
    """
    if incident.runbook is None or incident.target_problem:
        return
    open_episodes = await tx.episodes.open_of_incident(incident.id)
    if not open_episodes:
        return
    runs = await tx.runs.of_incident(incident.id)
    if any(run.status is not RunStatus.ENDED for run in runs):
        return
    last = runs[-1] if runs else None
    newest = max(episode.starts_at for episode in open_episodes)
    fired_anew = last is not None and last.result in CURES and newest > (last.ended_at or now)
    if last is None or fired_anew:
        await create_run(services, tx, incident, incident.runbook, requested_by=BY_ALERT, now=now)


async def _end_if_over(
    services: Services, tx: Transaction, incident: Incident, *, healed: bool, now: datetime
) -> Incident:
    if await tx.episodes.open_of_incident(incident.id):
        return incident
    runs = await tx.runs.of_incident(incident.id)
    if any(run.status is not RunStatus.ENDED for run in runs):
        return incident
    cured = not runs or runs[-1].result in CURES
    if not (cured or healed):
        return incident
    return await resolve(services, tx, incident, by="runbookd", now=now, why=_why(runs))


def _why(runs: list[Run]) -> str:
    if not runs:
        return "every alert has resolved"
    if runs[-1].result in CURES:
        return f"every alert has resolved and run {runs[-1].number} ended {runs[-1].result}"
    return "every alert has resolved and a fresh verification holds"


async def resolve(
    services: Services, tx: Transaction, incident: Incident, *, by: str, now: datetime, why: str
) -> Incident:
    """End an incident and give the all-clear to everybody who was told."""
    await tx.incidents.resolve(incident.id, by, now)
    link = messages.link_to(services.settings.public_url, incident.id)
    text = f"Resolved by {by}: {why}."
    message = messages.resolve(incident, now, text, link)
    await messages.queue(tx, messages.told(incident), message, now)
    await tx.timeline.add(
        incident.id,
        Fact(
            key=message.key,
            at=now,
            phase=Phase.RESOLUTION,
            kind=Kind.INCIDENT_RESOLVED,
            text=text,
            actor=by,
        ),
    )
    return replace(incident, status=IncidentStatus.RESOLVED, resolved_at=now, resolved_by=by)


async def _healed_without_a_cure(services: Services, incident_id: int) -> bool:
    """Look afresh when the alerts are gone though no run cured: resolved alone proves nothing."""
    async with services.store.reading() as tx:
        incident = await tx.incidents.get(incident_id)
        if incident is None or incident.status is not IncidentStatus.OPEN:
            return False
        if await tx.episodes.open_of_incident(incident_id):
            return False
        runs = await tx.runs.of_incident(incident_id)
    ended = [run for run in runs if run.status is RunStatus.ENDED]
    if not ended or len(ended) < len(runs) or ended[-1].result in CURES:
        return False
    run = ended[-1]
    verifies = [
        step
        for step in run.runbook.steps
        if step.action in services.actions and services.actions[step.action].role is Role.VERIFY
    ]
    if not verifies:
        return True
    try:
        settled = await look_again(services, incident, run, verifies[-1])
    except RunbookdError:
        return False
    return settled.state is SettledState.DONE


def _over_for_good_at(incident: Incident) -> datetime:
    limits = incident.runbook.limits if incident.runbook else Limits()
    return (incident.resolved_at or incident.opened_at) + limits.cooldown


async def _wake_after(
    tx: Transaction, incident: Incident, runs: list[Run], now: datetime
) -> timedelta:
    if incident.status is IncidentStatus.RESOLVED:
        wait = _over_for_good_at(incident) - now
    else:
        wait = next_due(incident, now=now) or LONGEST_WAIT
        all_ended = bool(runs) and all(run.status is RunStatus.ENDED for run in runs)
        if all_ended and not await tx.episodes.open_of_incident(incident.id):
            wait = min(wait, RECHECK)
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
