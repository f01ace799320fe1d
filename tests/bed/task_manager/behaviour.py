"""What each image tag of the sample application does."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Behaviour:
    """One release; what is zero does not happen. Only requests for tasks misbehave."""

    tag: str
    error_every: int = 0
    """Each n-th request fails with 500."""
    delay: timedelta = timedelta(0)
    """Each request takes so much longer."""
    crash_after: timedelta = timedelta(0)
    """The process ends by itself, with a word on its log."""
    leak_bytes: int = 0
    """Memory that each request takes and never gives back."""
    leak_session_every: int = 0
    """Each n-th request opens a session with the database that is never closed..."""
    sessions: int = 0
    """... until so many are open."""


BEHAVIOURS = {
    behaviour.tag: behaviour
    for behaviour in (
        Behaviour("v3"),
        Behaviour("v4"),
        Behaviour("v4-errors", error_every=5),
        Behaviour("v5-errors", error_every=4),
        Behaviour("v4-slow", delay=timedelta(milliseconds=500)),
        Behaviour("v4-crash", crash_after=timedelta(milliseconds=500)),
        Behaviour("v4-memory", leak_bytes=1024 * 1024),
        Behaviour("v4-sessions", leak_session_every=10, sessions=28),
    )
}
