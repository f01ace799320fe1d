"""Alerts → episodes → incidents: what a delivered alert means."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from exporter.shared.errors import PermanentError, TransientError
from responder.domain.alert import Alert, AlertStatus
from responder.domain.episode import Change, Episode, classify, gravity
from responder.domain.incident import Incident, IncidentStatus, RunStatus
from responder.domain.policy import Level, Policy, Runbook, match
from responder.domain.target import NeedsOwner, Unresolvable, resolve
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import Target
from responder.engine import messages
from responder.engine.services import Services
from responder.store.database import Transaction

Ahead = Callable[[], Awaitable[None]]
"""Writes the rows ahead, which must not wait until somebody has answered."""


@dataclass(frozen=True, slots=True)
class Aimed:
    """An alert with the runbook that matches it and the object it is about."""

    alert: Alert
    target: Target
    runbook: Runbook | None
    problem: str
    title: str = ""
    """Of the incident that it opens; by default the alert's name and its target."""
    receiver: str = ""
    """Under which a webhook delivered it; empty for what a round found."""
    learned: str = ""
    """How it came to be known, where no webhook told of it: a sentence."""


async def aim(services: Services, alert: Alert, ahead: Ahead, *, last_try: bool) -> Aimed:
    """Find the runbook and the target. Raises TransientError while the owner cannot be asked."""
    runbook, _ = match(services.policy, alert.labels)
    rule = services.policy.targets.get(runbook.target if runbook else "workload")
    found = resolve(rule, alert.labels) if rule else Unresolvable("no rule says what it is about")
    match found:
        case Target():
            return Aimed(alert, found, runbook, "")
        case Unresolvable(reason):
            return Aimed(alert, _by_name(alert), runbook, reason)
        case NeedsOwner(namespace, pod):
            own = Target("Pod", namespace, pod)
            await ahead()
            try:
                owner = await _owner(services, namespace, pod)
            except PermanentError as error:
                return Aimed(alert, own, runbook, str(error))
            except TransientError as error:
                if last_try:
                    return Aimed(alert, own, runbook, f"its owner could not be read: {error}")
                raise
            if owner is None:
                return Aimed(alert, own, runbook, "no workload owns the pod")
            return Aimed(alert, owner, runbook, "")


async def _owner(services: Services, namespace: str, name: str) -> Target | None:
    pod = await services.kube.pod(namespace, name)
    if pod is None:
        return None
    owner = await services.kube.workload_of_pod(pod)
    return Target(owner[0], namespace, owner[1]) if owner else None


def _by_name(alert: Alert) -> Target:
    """Return what an alert without a target is filed under: itself."""
    return Target("Alert", alert.labels.get("namespace", ""), alert.name or alert.fingerprint)


async def apply(
    services: Services, tx: Transaction, aimed: Aimed, now: datetime, *, is_new: bool
) -> int | None:
    """Write what an alert means; one that is new has no episode yet, and none is asked for."""
    alert, cluster = aimed.alert, services.settings.cluster
    episode = None if is_new else await tx.episodes.open_for(cluster, alert.fingerprint)
    ended = None if is_new else await tx.episodes.last_ended(cluster, alert.fingerprint)
    match classify(alert, episode, ended):
        case Change.OPEN:
            return await _fire(services, tx, aimed, now)
        case Change.REFIRE if episode is not None:
            await tx.episodes.end(episode.id, alert.starts_at)
            return await _fire(services, tx, aimed, now)
        case Change.REPEAT if episode is not None:
            # Its start stays: with two Prometheus it moves back and forth, which is no refire.
            told = replace(episode, last_seen_at=now, annotations=alert.annotations)
            await tx.episodes.seen(replace(told, receiver=aimed.receiver or episode.receiver))
            return episode.incident_id
        case Change.RESOLVE if episode is not None and not _is_overruled(aimed, episode):
            at = alert.ends_at or now
            await tx.episodes.end(episode.id, at)
            text = f"{alert.name} resolved.{aimed.learned}"
            fact = _fact(alert, episode.id, Kind.ALERT_RESOLVED, Phase.RESOLUTION, text, now)
            await tx.timeline.add(episode.incident_id, fact)
            _count(services, aimed)
            return episode.incident_id
        case _:
            return None


def _is_overruled(aimed: Aimed, episode: Episode) -> bool:
    """Say whether an end is only inferred, and a webhook told of a firing since it was."""
    ends_at = aimed.alert.ends_at
    return bool(aimed.learned) and ends_at is not None and episode.last_seen_at > ends_at


def _count(services: Services, aimed: Aimed) -> None:
    if aimed.learned:
        services.metrics.alerts_reconciled.labels(aimed.alert.status.value).inc()


async def _fire(services: Services, tx: Transaction, aimed: Aimed, now: datetime) -> int:
    episode = await join(services, tx, aimed, now)
    said = aimed.alert.annotations.get("summary", "")
    text = f"{aimed.alert.name} fires{f': {said}' if said else ''}.{aimed.learned}"
    kind, phase = Kind.ALERT_FIRING, Phase.DETECTION
    fact = _fact(aimed.alert, episode.id, kind, phase, text, now)
    await tx.timeline.add(episode.incident_id, fact)
    _count(services, aimed)
    return episode.incident_id


async def join(services: Services, tx: Transaction, aimed: Aimed, now: datetime) -> Episode:
    """Start an episode in the target's live incident, or in one that is opened for it."""
    incident = await tx.incidents.live_for(services.settings.cluster, aimed.target)
    if incident is not None and await _is_behind_us(tx, incident):
        # What a person ran is over: the alert is an incident of its own, with its own clocks.
        await tx.incidents.close(incident.id, now)
        incident = None
    if incident is None:
        incident = await _open(services, tx, aimed, now)
    else:
        if _is_resolved(incident) and gravity(aimed.alert.labels) >= gravity(incident.labels):
            await _reopen(services, tx, incident, aimed, now)
        if _brings_more(incident, aimed):
            # What was only told, or less grave, is worked on by another runbook now; people are
            # told anew.
            await tx.incidents.adopt(incident.id, _opening(services, aimed, now))
    return await tx.episodes.start(
        Episode(
            id=0,
            cluster=services.settings.cluster,
            fingerprint=aimed.alert.fingerprint,
            incident_id=incident.id,
            alert_name=aimed.alert.name,
            labels=aimed.alert.labels,
            annotations=aimed.alert.annotations,
            starts_at=aimed.alert.starts_at,
            starts_at_text=aimed.alert.starts_at_text,
            last_seen_at=now,
            receiver=aimed.receiver,
        )
    )


async def _is_behind_us(tx: Transaction, incident: Incident) -> bool:
    """Say whether all that a person ran is over, what takes it back included.

    Once an incident is closed, nobody starts a run of it that still waits.
    """
    if not (_of_a_person(incident) and _is_resolved(incident)):
        return False
    return all(run.status is RunStatus.ENDED for run in await tx.runs.of_incident(incident.id))


def _brings_more(incident: Incident, aimed: Aimed) -> bool:
    """Say whether an alert that joins an incident brings it a runbook, or a graver one."""
    if _of_a_person(incident):
        return True
    graver = gravity(aimed.alert.labels) > gravity(incident.labels)
    return aimed.runbook is not None and (incident.runbook is None or graver)


def _is_resolved(incident: Incident) -> bool:
    return incident.status is IncidentStatus.RESOLVED


def _of_a_person(incident: Incident) -> bool:
    """Say whether a person's run opened the incident, and no alert has joined it."""
    return not incident.labels


async def _reopen(
    services: Services, tx: Transaction, incident: Incident, aimed: Aimed, now: datetime
) -> None:
    """Open it again, and take back the all-clear from everybody who got it."""
    await tx.incidents.reopen(incident.id, now)
    text = f"Opened again: {aimed.alert.name} fires within the cooldown."
    link = messages.link_to(services.settings.public_url, incident.id)
    message = messages.reopened(incident, now, text, link)
    await messages.queue(tx, messages.told(incident), message, now)
    await tx.timeline.add(
        incident.id,
        Fact(
            key=f"reopened:{now.isoformat()}",
            at=now,
            phase=Phase.DETECTION,
            kind=Kind.INCIDENT_REOPENED,
            text=text,
        ),
    )


async def _open(services: Services, tx: Transaction, aimed: Aimed, now: datetime) -> Incident:
    incident = await tx.incidents.open(_opening(services, aimed, now))
    what = aimed.runbook.name if aimed.runbook else "none matches, it only escalates"
    problem = f" The target has a problem: {aimed.problem}." if aimed.problem else ""
    await tx.timeline.add(
        incident.id,
        Fact(
            key="opened",
            at=now,
            phase=Phase.DETECTION,
            kind=Kind.INCIDENT_OPENED,
            text=f"Incident on {aimed.target} opened; runbook: {what}.{problem}",
        ),
    )
    return incident


def _opening(services: Services, aimed: Aimed, now: datetime) -> Incident:
    """Return all that the policy says about an alert, to be frozen in its incident."""
    return Incident(
        id=0,
        cluster=services.settings.cluster,
        target=aimed.target,
        status=IncidentStatus.OPEN,
        title=aimed.title or f"{aimed.alert.name} on {aimed.target}",
        severity=aimed.alert.labels.get("severity", ""),
        labels=aimed.alert.labels,
        opened_at=now,
        runbook=aimed.runbook,
        escalation=_escalation(services.policy, aimed.runbook),
        target_problem=aimed.problem,
    )


def _escalation(policy: Policy, runbook: Runbook | None) -> tuple[Level, ...]:
    return policy.escalation.get(runbook.escalation if runbook else "default", ())


def _fact(alert: Alert, episode_id: int, kind: Kind, phase: Phase, text: str, at: datetime) -> Fact:
    return Fact(
        key=f"episode-{episode_id}:{alert.status.value}",
        at=at,
        phase=phase,
        kind=kind,
        text=text,
        facts={
            "fingerprint": alert.fingerprint,
            "alertname": alert.name,
            "starts_at": alert.starts_at_text,
            "firing": alert.status is AlertStatus.FIRING,
        },
        actor="alertmanager",
    )
