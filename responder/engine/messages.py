"""What people are told: one place that words every message and its keys."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime

from responder.contract import Notification
from responder.domain.escalation import Due
from responder.domain.incident import Incident
from responder.domain.policy import Level, Policy
from responder.domain.values import incident_name, workflow_id
from responder.store.database import Transaction

Message = Notification


def page(incident: Incident, due: Due, link: str) -> Message:
    """Word the page that tells one level of an incident, since it opened."""
    key = f"L{due.level}:{_stamp(incident.opened_at)}"
    message = _about(incident, "page", key, f"Level {due.level}: {due.reason}.", link)
    return replace(message, level=due.level)


def update(incident: Incident, key: str, text: str, link: str) -> Message:
    """Word news for the levels already told."""
    return _about(incident, "update", key, text, link)


def resolve(incident: Incident, at: datetime, text: str, link: str) -> Message:
    """Word the all-clear; `at` tells two ends of a reopened incident apart."""
    return _about(incident, "resolve", f"resolve:{_stamp(at)}", text, link)


def reopened(incident: Incident, at: datetime, text: str, link: str) -> Message:
    """Word the page that takes an all-clear back."""
    return _about(incident, "page", f"reopened:{_stamp(at)}", text, link)


def audit(key: str, title: str, text: str) -> Message:
    """Word a page about the responder itself; it belongs to no incident."""
    return Notification(
        key=key,
        dedup_key=key,
        kind="page",
        level=1,
        title=title,
        text=text,
        severity="critical",
        incident_id=0,
    )


def unreached(receiver: str, why: str, at: datetime) -> Message:
    """Word the page about a receiver that gets no messages, once a day."""
    return audit(
        f"audit:outbox:{receiver}:{at:%Y-%m-%d}",
        f"Messages do not reach {receiver}",
        f"Receiver {receiver} {why}.",
    )


def told(incident: Incident) -> tuple[str, ...]:
    """Return the receivers of every level told so far, each once, in order."""
    names = (name for level in incident.escalation[: incident.told_level] for name in level.notify)
    return tuple(dict.fromkeys(names))


def on_call(policy: Policy, broken: Collection[str] = ()) -> tuple[str, ...]:
    """Return who is told of what belongs to no incident: level 1 of the default escalation."""
    return lowest(policy.escalation.get("default", ()), broken)


def lowest(levels: Iterable[Level], broken: Collection[str] = ()) -> tuple[str, ...]:
    """Return the receivers of the lowest level that has any beside the broken ones."""
    for level in levels:
        if left := tuple(name for name in level.notify if name not in broken):
            return left
    return ()


async def queue(
    tx: Transaction, receivers: Iterable[str], message: Message, at: datetime
) -> list[str]:
    """Put `message` into the outbox, once per receiver and key; return who is new."""
    return [
        name
        for name in receivers
        if await tx.outbox.add(f"{message.key}:{name}", name, message, at)
    ]


def link_to(public_url: str, incident_id: int) -> str:
    """Return the address of an incident's page."""
    return f"{public_url.rstrip('/')}/incidents/{incident_name(incident_id)}"


def _about(incident: Incident, kind: str, key: str, text: str, link: str) -> Message:
    """Return a message for the levels told so far."""
    return Notification(
        key=f"{workflow_id(incident.id)}:{key}",
        dedup_key=workflow_id(incident.id),
        kind=kind,
        level=incident.told_level,
        title=f"{incident_name(incident.id)} {incident.title}",
        text=text,
        severity=incident.severity,
        incident_id=incident.id,
        link=link,
        facts={"target": str(incident.target), "labels": dict(incident.labels)},
    )


def _stamp(at: datetime) -> int:
    """Return a moment for a key, to the microsecond: an incident changes twice in a second."""
    return int(at.timestamp() * 1e6)
