"""What people do to incidents, whatever they do it with; each act is a fact with their name."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex

from responder.domain.alert import Alert, AlertStatus
from responder.domain.episode import BY_HAND
from responder.domain.incident import Incident, IncidentStatus
from responder.domain.policy import match
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import Labels, Target
from responder.engine import deliveries, incidents
from responder.engine.services import Services
from responder.store.switches import Switch

REPORTED = "UserReport"
"""`alertname` of what a person reports: a runbook that matches it is run."""

OPEN_AT_ONCE = 1000
"""Open incidents whose timelines say that the kill switch was turned."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a person says is wrong."""

    title: str
    severity: str
    note: str = ""
    target: Target | None = None
    """None: nobody knows yet; the incident only escalates."""


async def report(services: Services, told: Report, by: str) -> Incident:
    """Turn a report into an incident with the same life as an alert's, or join the target's own.

    It is over when a person says so.
    """
    now, number = services.now(), token_hex(8)
    target = told.target or Target("Report", "", number)
    labels = {"alertname": REPORTED, "severity": told.severity, **_subject(told.target)}
    alert = Alert(
        fingerprint=f"{BY_HAND}{number}",
        status=AlertStatus.FIRING,
        labels=labels,
        annotations={"summary": told.title, "description": told.note},
        starts_at=now,
        starts_at_text=now.isoformat(),
        ends_at=None,
    )
    runbook, _ = match(services.policy, labels)
    problem = "" if told.target else "the report names none"
    aimed = deliveries.Aimed(alert, target, runbook if told.target else None, problem, told.title)
    async with services.store.transaction() as tx:
        episode = await deliveries.join(services, tx, aimed, now)
        note = f" {told.note}" if told.note else ""
        fact = _fact(
            f"episode-{episode.id}:reported",
            Kind.REPORTED,
            Phase.DETECTION,
            f"Reported by {by}: {_bare(told.title)}.{note}",
            by,
            now,
        )
        await tx.timeline.add(episode.incident_id, fact)
        incident = await tx.incidents.get(episode.incident_id)
    if incident is None:
        raise LookupError(f"incident {episode.incident_id} vanished while it was opened")
    return incident


def _subject(target: Target | None) -> Labels:
    """Return the labels that name the object, as alerts about it have them."""
    if target is None:
        return {}
    match target.kind:
        case "Pod":
            return {"namespace": target.namespace, "pod": target.name}
        case "Node":
            return {"node": target.name}
        case kind:
            workload = {"workload": target.name, "workload_type": kind.lower()}
            return {"namespace": target.namespace, **workload}


async def ack(services: Services, incident_id: int, by: str) -> Incident | None:
    """Record that a person has taken the incident; None when there is none."""
    now = services.now()
    async with services.store.transaction() as tx:
        if await tx.incidents.ack(incident_id, by, now):
            text = f"Acknowledged by {by}."
            fact = _fact(f"ack:{by}", Kind.INCIDENT_ACKED, Phase.ASSESSMENT, text, by, now)
            await tx.timeline.add(incident_id, fact)
        return await tx.incidents.get(incident_id)


async def resolve(services: Services, incident_id: int, by: str, why: str) -> Incident | None:
    """End an incident by a person's word, its reports too; None when there is none to end."""
    now = services.now()
    async with services.store.transaction() as tx:
        incident = await tx.incidents.get(incident_id)
        if incident is None or incident.status is not IncidentStatus.OPEN:
            return None
        for episode in await tx.episodes.open_of_incident(incident_id):
            if episode.is_reported:
                await tx.episodes.end(episode.id, now)
        return await incidents.resolve(services, tx, incident, by=by, now=now, why=why)


async def hold(services: Services, incident_id: int, by: str, why: str) -> Incident | None:
    """Stop automation before its next effect; None when there is no such open incident."""
    now = services.now()
    async with services.store.transaction() as tx:
        if await tx.incidents.hold(incident_id, by, now):
            reason = f": {_bare(why)}" if why else ""
            text = f"Held by {by}{reason}. Nothing more is changed until it is resumed."
            key, kind = f"held:{now.isoformat()}", Kind.INCIDENT_HELD
            await tx.timeline.add(incident_id, _fact(key, kind, Phase.MITIGATION, text, by, now))
        incident = await tx.incidents.get(incident_id)
    return incident if incident and incident.held_by else None


async def resume(services: Services, incident_id: int, by: str) -> Incident | None:
    """Let automation go on; None when there is no incident. Nothing happens without a hold."""
    now = services.now()
    async with services.store.transaction() as tx:
        if await tx.incidents.resume(incident_id):
            key, kind = f"resumed:{now.isoformat()}", Kind.INCIDENT_RESUMED
            text = f"Resumed by {by}."
            await tx.timeline.add(incident_id, _fact(key, kind, Phase.MITIGATION, text, by, now))
        return await tx.incidents.get(incident_id)


async def decide(services: Services, incident_id: int, by: str, what: str, why: str) -> Fact | None:
    """Write a person's decision down; None when there is no incident.

    The same words of the same person are one decision, however often they are sent.
    """
    now = services.now()
    said = f"{by}\0{what}\0{why}".encode()
    reason = f", because {_bare(why)}" if why else ""
    async with services.store.transaction() as tx:
        incident = await tx.incidents.get(incident_id)
        if incident is None:
            return None
        is_open = incident.status is IncidentStatus.OPEN
        phase = Phase.INVESTIGATION if is_open else Phase.POST_INCIDENT
        fact = Fact(
            key=f"decision:{hashlib.sha256(said).hexdigest()[:32]}",
            at=now,
            phase=phase,
            kind=Kind.DECISION,
            text=f"{by} decided: {_bare(what)}{reason}.",
            facts={"what": what, "why": why},
            actor=by,
        )
        await tx.timeline.add(incident_id, fact)
    return fact


async def turn_kill_switch(services: Services, *, on: bool, by: str, reason: str) -> Switch:
    """Turn the kill switch, and say so on the timeline of every open incident."""
    switch = Switch(on, by, services.now(), reason)
    why = f": {_bare(reason)}" if reason else ""
    text = f"Kill switch turned {'on' if on else 'off'} by {by}{why}."
    key = f"switched:{switch.at.isoformat()}"
    fact = _fact(key, Kind.SWITCHED, Phase.MITIGATION, text, by, switch.at)
    async with services.store.transaction() as tx:
        await tx.switches.set("kill", switch)
        for incident in await tx.incidents.list({IncidentStatus.OPEN}, OPEN_AT_ONCE):
            await tx.timeline.add(incident.id, fact)
    return switch


def _bare(words: str) -> str:
    """Return what a person wrote without its full stop: our sentence brings one."""
    return words.rstrip(" .")


def _fact(key: str, kind: Kind, phase: Phase, text: str, by: str, at: datetime) -> Fact:
    return Fact(key=key, at=at, phase=phase, kind=kind, text=text, actor=by)
