"""Inbox → episodes → incidents: what a delivered alert means, written in one transaction."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from exporter.shared.errors import PermanentError, RunbookdError, TransientError
from exporter.shared.log import get_log
from responder.domain.alert import Alert, AlertStatus
from responder.domain.dead_letter import DeadLetterReason, Unusable
from responder.domain.episode import Change, Episode, classify, gravity
from responder.domain.incident import Incident, IncidentStatus, RunStatus
from responder.domain.policy import Level, Policy, Runbook, match
from responder.domain.target import NeedsOwner, Unresolvable, resolve
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import Target
from responder.engine import dead_letters, messages, reconciliation
from responder.engine.envelope import MalformedDeliveryError, decode_delivery
from responder.engine.services import Services
from responder.store.database import Transaction
from responder.store.inbox import InboxItem

log = get_log(__name__)

BATCH = 50
"""Inbox rows claimed at once; more are left to other replicas."""

OWNER_TRIES = 4
"""How often the owner of a pod is asked for while the API server is away; then the incident opens
on the pod itself and only escalates, because people must not wait for a walk."""

LAST_TRY = 4
"""Attempts after which a delivery that breaks our own code becomes a dead letter."""

RETRY = timedelta(seconds=2)

BREATH = timedelta(milliseconds=500)
"""Longest pause between two rows: what took longer has waited for a server, not kept us busy."""

Pause = Callable[[timedelta], Awaitable[None]]


async def go_on(_spent: timedelta) -> None:
    """Make no pause."""


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


async def process_inbox(services: Services, between: Pause = go_on) -> set[int]:
    """Work through what is in the inbox, oldest first; return the incidents touched.

    `between` two rows is awaited with the time that the one before took, up to `BREATH`.

    A row is done in the same transaction as what it led to, so a crash repeats it and a repeat
    changes nothing.
    """
    touched: set[int] = set()
    async with services.store.aside() as tx:
        items = await tx.inbox.claim(services.fleet.executor, BATCH, services.now())
    asking = reconciliation.Asking(services)
    spent = timedelta(0)
    for item in items:
        if spent:
            await between(min(spent, BREATH))
        began = services.clock.monotonic()
        try:
            touched |= await _process(services, item, asking)
        except RunbookdError:  # the store is away: nothing behind it would fare better
            raise
        except Exception as error:  # our own mistake must not hold up the alerts behind it
            log.exception("delivery_failed", inbox=item.id, attempts=item.attempts)
            why = Unusable(DeadLetterReason.FAILED, type(error).__name__)
            await _later_or_never(services, item, why)
        spent = timedelta(seconds=services.clock.monotonic() - began)
    return touched


async def _later_or_never(services: Services, item: InboxItem, why: Unusable) -> None:
    if item.attempts >= LAST_TRY:
        await _give_up(services, item, why)
        return
    async with services.store.transaction() as tx:
        await tx.inbox.retry_later(item.id, str(why), services.now() + RETRY)


async def _give_up(services: Services, item: InboxItem, why: Unusable) -> None:
    now = services.now()
    async with services.store.transaction() as tx:
        await dead_letters.keep(services, tx, item, why, now)
        await tx.inbox.failed(item.id, str(why), now)


async def _process(services: Services, item: InboxItem, asking: reconciliation.Asking) -> set[int]:
    try:
        delivery = decode_delivery(item.body)
        rest = await asking.cut_off(item, delivery)
        ours, foreign = _by_cluster([*delivery.alerts, *rest.found], services.settings.cluster)
        last_try = item.attempts >= OWNER_TRIES
        learned = reconciliation.learned(item, rest)
        aimed = [
            replace(
                await _aim(services, alert, last_try=last_try),
                receiver="" if item.source == reconciliation.SOURCE else delivery.receiver,
                learned=learned(alert),
            )
            for alert in ours
        ]
    except MalformedDeliveryError as error:
        await _give_up(services, item, error.why)
        return set()
    except TransientError as error:
        async with services.store.transaction() as tx:
            later = services.now() + (error.retry_after or RETRY)
            await tx.inbox.retry_later(item.id, str(error), later)
        return set()
    touched: set[int] = set()
    now = services.now()
    async with services.store.transaction() as tx:
        for one in aimed:
            incident_id = await _apply(services, tx, one, now)
            if incident_id is not None:
                touched.add(incident_id)
        if rest.again is not None:
            await tx.inbox.retry_later(item.id, f"cut_off: {rest.problem}", now + rest.again)
            return touched
        if delivery.truncated:
            await dead_letters.tell_truncated(services, tx, delivery.truncated, rest.problem, now)
        if foreign:
            why = Unusable(DeadLetterReason.OTHER_CLUSTER, foreign)
            await dead_letters.keep(services, tx, item, why, now)
        await tx.inbox.done(item.id, now)
    services.metrics.alerts_received.inc(len(aimed))
    return touched


def _by_cluster(alerts: Sequence[Alert], cluster: str) -> tuple[list[Alert], str]:
    """Part the alerts of our cluster from those of another, which is named."""
    ours = [alert for alert in alerts if alert.labels.get("cluster", cluster) == cluster]
    others = {alert.labels.get("cluster", cluster) for alert in alerts} - {cluster}
    return ours, ", ".join(sorted(others))


async def _aim(services: Services, alert: Alert, *, last_try: bool) -> Aimed:
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


async def _apply(services: Services, tx: Transaction, aimed: Aimed, now: datetime) -> int | None:
    alert, cluster = aimed.alert, services.settings.cluster
    episode = await tx.episodes.open_for(cluster, alert.fingerprint)
    ended = await tx.episodes.last_ended(cluster, alert.fingerprint)
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
