"""The life of an incident: what is due now, decided and written in one transaction."""

from dataclasses import replace
from datetime import datetime, timedelta

from exporter.shared.errors import RunbookdError
from responder.contract import Role
from responder.domain.episode import Episode, holding
from responder.domain.escalation import due, next_due
from responder.domain.incident import (
    BY_ALERT,
    BY_UNDO,
    CURES,
    Incident,
    IncidentStatus,
    Run,
    RunStatus,
)
from responder.domain.plan import SettledState
from responder.domain.policy import Limits
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import JsonObject
from responder.engine import messages, runs
from responder.engine.services import Services
from responder.engine.steps import look_again
from responder.store.database import Transaction

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
        all_runs = await tx.runs.of_incident(incident.id)
        all_ended = all(run.status is RunStatus.ENDED for run in all_runs)
        is_resolved = incident.status is IncidentStatus.RESOLVED
        if is_resolved and all_ended and now >= _over_for_good_at(incident):
            await tx.incidents.close(incident.id, now)
            return {"closed": True, "runs": [], "wake_after": 0}
        waiting = [run.number for run in all_runs if run.is_due(now)]
        wake = await _wake_after(tx, incident, all_runs, now)
    return {
        "closed": False,
        "runs": list(waiting),
        "target": str(incident.target),
        "wake_after": wake.total_seconds(),
    }


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
    # What else fires on the target, its runbook was not written for.
    reasons = [episode for episode in open_episodes if incident.runbook.takes(episode.labels)]
    if not reasons:
        return
    cures = await _cures(tx, incident.id)
    if any(run.status is not RunStatus.ENDED for run in cures):
        return
    # What a lesser alert's runbook did before a graver one brought its own is no try of that.
    tries = [
        run
        for run in cures
        if run.requested_by != BY_ALERT or run.runbook.name == incident.runbook.name
    ]
    last = tries[-1] if tries else None
    # What a person reports is no sign that the cure did not last: it may be about the time before.
    fired = [episode.starts_at for episode in reasons if not episode.is_reported]
    newest = max(fired, default=None)
    fired_anew = (
        last is not None
        and last.result in CURES
        and newest is not None
        and newest > (last.ended_at or now)
    )
    if last is None or fired_anew:
        await runs.create(services, tx, incident, incident.runbook, requested_by=BY_ALERT)


async def _end_if_over(
    services: Services, tx: Transaction, incident: Incident, *, healed: bool, now: datetime
) -> Incident:
    episodes = await tx.episodes.of_incident(incident.id)
    if holding(episodes):
        return incident
    cures = await _cures(tx, incident.id)
    if any(run.status is not RunStatus.ENDED for run in cures):
        return incident
    cured = not cures or cures[-1].result in CURES
    if not (cured or healed):
        return incident
    goes_on = [episode for episode in episodes if episode.ended_at is None]
    return await resolve(services, tx, incident, by="runbookd", now=now, why=_why(cures, goes_on))


async def _cures(tx: Transaction, incident_id: int) -> list[Run]:
    """Return the runs that were to cure; what takes something back later says nothing of that."""
    return [run for run in await tx.runs.of_incident(incident_id) if run.requested_by != BY_UNDO]


def _why(cures: list[Run], goes_on: list[Episode]) -> str:
    names = ", ".join(sorted({episode.alert_name for episode in goes_on}))
    alerts = f"every alert but {names}, a lesser one," if names else "every alert"
    if not cures:
        return f"{alerts} has resolved"
    if cures[-1].result in CURES:
        return f"{alerts} has resolved and run {cures[-1].number} ended {cures[-1].result}"
    return f"{alerts} has resolved and a fresh verification holds"


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
        if holding(await tx.episodes.of_incident(incident_id)):
            return False
        cures = await _cures(tx, incident_id)
    ended = [run for run in cures if run.status is RunStatus.ENDED]
    if not ended or len(ended) < len(cures) or ended[-1].result in CURES:
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
    tx: Transaction, incident: Incident, all_runs: list[Run], now: datetime
) -> timedelta:
    later = [
        run.not_before - now
        for run in all_runs
        if run.status is RunStatus.WAITING and run.not_before is not None and run.not_before > now
    ]
    if incident.status is IncidentStatus.RESOLVED:
        over = _over_for_good_at(incident) - now
        # What is left then is a run, and its end wakes the incident.
        wait = over if over > timedelta(0) else LONGEST_WAIT
    else:
        wait = next_due(incident, now=now) or LONGEST_WAIT
        cures = [run for run in all_runs if run.requested_by != BY_UNDO]
        all_ended = bool(cures) and all(run.status is RunStatus.ENDED for run in cures)
        if all_ended and not holding(await tx.episodes.of_incident(incident.id)):
            wait = min(wait, RECHECK)
    wait = min([wait, *later])
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
