"""What is overdue, and who is told."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.domain.incident import Incident


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
    raise NotImplementedError


def next_due(incident: Incident, *, now: datetime) -> timedelta | None:
    """Return how long until the next level is due; None when none is left or it is not open."""
    raise NotImplementedError
