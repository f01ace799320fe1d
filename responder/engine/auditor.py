"""The auditor: finds incidents and runs that nobody works on, and says so to people.

The engine ends a workflow quietly when its code fails or when it was recovered too often; the
auditor starts what is unstarted, resumes what is dead once, and pages for what stays dead or stuck.
"""

from dataclasses import dataclass

from dbos import DBOS

from responder.domain.incident import Incident, RunStatus
from responder.domain.plan import RunResult
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import incident_name, run_workflow_id, workflow_id
from responder.engine import messages, runs, workflows
from responder.engine.services import Services

DEAD = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was not as it should be."""

    finding: str
    """`unstarted`, `dead_incident`, `dead_run`, `inbox_stuck` or `outbox_stuck`."""
    what: str


async def audit(services: Services) -> list[Finding]:
    """Look once at everything that should be moving, and mend or page. Safe to repeat."""
    findings = [
        *await _audit_incidents(services),
        *await _audit_inbox(services),
        *await _audit_outbox(services),
    ]
    for finding in findings:
        services.metrics.audit_findings.labels(finding.finding).inc()
    return findings


async def _audit_incidents(services: Services) -> list[Finding]:
    found = []
    async with services.store.reading() as tx:
        live = await tx.incidents.open_ids()
    for incident_id in live:
        status = await DBOS.get_workflow_status_async(workflow_id(incident_id))
        if status is None:
            await workflows.start_incident(incident_id)
            found.append(Finding("unstarted", incident_name(incident_id)))
        elif status.status in DEAD:
            found.append(Finding("dead_incident", incident_name(incident_id)))
            await _revive(services, incident_id)
        found += await _audit_runs(services, incident_id)
    return found


async def _revive(services: Services, incident_id: int) -> None:
    """Resume a dead incident once; when it dies again, page and leave it to people."""
    now = services.now()
    async with services.store.transaction() as tx:
        first = await tx.timeline.add(
            incident_id,
            Fact(
                key="audit:resumed",
                at=now,
                phase=Phase.INVESTIGATION,
                kind=Kind.AUDIT,
                text="The incident's workflow had died; the auditor resumed it.",
            ),
        )
        incident = await tx.incidents.get(incident_id)
    if first:
        await DBOS.resume_workflow_async(workflow_id(incident_id))
    elif incident is not None:
        await _page(
            services,
            f"audit:{workflow_id(incident_id)}:dead",
            f"{incident_name(incident_id)} is not being worked on",
            f"The workflow of the incident on {incident.target} died twice. Take over by hand.",
            incident,
        )


async def _audit_runs(services: Services, incident_id: int) -> list[Finding]:
    found = []
    async with services.store.reading() as tx:
        unfinished = [
            run
            for run in await tx.runs.of_incident(incident_id)
            if run.status is not RunStatus.ENDED
        ]
    for run in unfinished:
        name = run_workflow_id(incident_id, run.number)
        status = await DBOS.get_workflow_status_async(name)
        if status is not None and status.status in DEAD:
            reason = "its workflow died; what it did last is on the timeline"
            await runs.end(services, incident_id, run.number, RunResult.UNKNOWN, reason)
            await workflows.poke(incident_id)
            found.append(Finding("dead_run", name))
    return found


async def _audit_inbox(services: Services) -> list[Finding]:
    async with services.store.reading() as tx:
        oldest = await tx.inbox.oldest_pending()
    if oldest is None or services.now() - oldest < services.settings.engine.stuck_after:
        return []
    await _page(
        services,
        f"audit:inbox:{oldest.isoformat()}",
        "Alerts wait in the inbox",
        f"A delivery received at {oldest.isoformat()} has not been worked on.",
    )
    return [Finding("inbox_stuck", oldest.isoformat())]


async def _audit_outbox(services: Services) -> list[Finding]:
    """Page about messages that do not get out, through the receivers that do work."""
    async with services.store.reading() as tx:
        stuck = await tx.outbox.stuck(services.now() - services.settings.engine.stuck_after)
    broken = sorted({item.receiver for item in stuck})
    working = messages.on_call(services.policy, broken)
    now = services.now()
    async with services.store.transaction() as tx:
        for receiver in broken:
            why = f"has messages waiting for more than {services.settings.engine.stuck_after}"
            await messages.queue(tx, working, messages.unreached(receiver, why, now), now)
    return [Finding("outbox_stuck", receiver) for receiver in broken]


async def _page(
    services: Services, key: str, title: str, text: str, incident: Incident | None = None
) -> None:
    policy = services.policy
    receivers = messages.lowest(incident.escalation) if incident else messages.on_call(policy)
    now = services.now()
    async with services.store.transaction() as tx:
        await messages.queue(tx, receivers, messages.audit(key, title, text), now)
