"""What people are told: one place that words every message and its keys."""

from collections.abc import Collection, Iterable
from datetime import datetime

from responder.contract import Notification
from responder.domain.escalation import Due
from responder.domain.incident import Incident
from responder.domain.policy import Level
from responder.domain.values import incident_name, workflow_id
from responder.store.database import Transaction

Message = Notification


def page(incident: Incident, due: Due, link: str) -> Message:
    """Word the page that tells one level of an incident, since it opened.

    The key holds the moment exactly: a graver alert may open it anew within the same second.
    """
    return _about(
        incident,
        kind="page",
        level=due.level,
        key=f"{workflow_id(incident.id)}:L{due.level}:{incident.opened_at:%Y%m%dT%H%M%S.%f}",
        text=f"Level {due.level}: {due.reason}.",
        link=link,
    )


def update(incident: Incident, key: str, text: str, link: str) -> Message:
    """Word news for the levels already told."""
    return _about(
        incident,
        kind="update",
        level=incident.told_level,
        key=f"{workflow_id(incident.id)}:{key}",
        text=text,
        link=link,
    )


def resolve(incident: Incident, at: datetime, text: str, link: str) -> Message:
    """Word the all-clear; `at` tells two ends of a reopened incident apart."""
    return _about(
        incident,
        kind="resolve",
        level=incident.told_level,
        key=f"{workflow_id(incident.id)}:resolve:{int(at.timestamp() * 1e6)}",
        text=text,
        link=link,
    )


def reopened(incident: Incident, at: datetime, text: str, link: str) -> Message:
    """Word the page that takes an all-clear back."""
    return _about(
        incident,
        kind="page",
        level=incident.told_level,
        key=f"{workflow_id(incident.id)}:reopened:{int(at.timestamp() * 1e6)}",
        text=text,
        link=link,
    )


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


def others(levels: Iterable[Level], broken: Collection[str]) -> tuple[str, ...]:
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


def _about(incident: Incident, *, kind: str, level: int, key: str, text: str, link: str) -> Message:
    return Notification(
        key=key,
        dedup_key=workflow_id(incident.id),
        kind=kind,
        level=level,
        title=f"{incident_name(incident.id)} {incident.title}",
        text=text,
        severity=incident.severity,
        incident_id=incident.id,
        link=link,
        facts={"target": str(incident.target), "labels": dict(incident.labels)},
    )
