"""What is overdue, and who is told."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.domain.incident import Incident, IncidentStatus
from responder.domain.policy import Level


@dataclass(frozen=True, slots=True)
class Due:
    """Tell this level now."""

    level: int
    """1, 2, 3 …"""
    notify: tuple[str, ...]
    reason: str
    """In words: `open for 15 minutes`, or why level 1 is told at once."""


def due(incident: Incident, *, now: datetime) -> tuple[Due, ...]:
    """Return the levels to tell now, lowest first.

    Levels follow the incident's duration since `opened_at`. Each level is told once; an ack stops
    nothing but repeats, so the next levels are still told while the incident is open. When
    `escalate_now` is set and level 1 was not told yet, it is due at once.
    """
    return tuple(
        Due(number, level.notify, _reason(incident, number, level))
        for number, level in _untold(incident)
        if _due_at(incident, number, level) <= now
    )


def next_due(incident: Incident, *, now: datetime) -> timedelta | None:
    """Return how long until the next level is due; None when none is left or it is not open."""
    times = [_due_at(incident, number, level) for number, level in _untold(incident)]
    return max(min(times) - now, timedelta(0)) if times else None


def _untold(incident: Incident) -> list[tuple[int, Level]]:
    if incident.status is not IncidentStatus.OPEN:
        return []
    return list(enumerate(incident.escalation, start=1))[incident.told_level :]


def _due_at(incident: Incident, number: int, level: Level) -> datetime:
    at_once = number == 1 and incident.escalate_now
    return incident.opened_at if at_once else incident.opened_at + level.after


def _reason(incident: Incident, number: int, level: Level) -> str:
    if number == 1 and incident.escalate_now:
        return incident.escalate_now
    if not level.after:
        return "the incident opened"
    seconds = level.after.total_seconds()
    return f"open for {seconds / 60:g} minutes" if seconds >= 60 else f"open for {seconds:g} s"
