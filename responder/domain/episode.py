"""Episodes: one continuous firing of one fingerprint."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from responder.domain.alert import Alert, AlertStatus
from responder.domain.values import Labels

BY_HAND = "reported:"
"""How fingerprints of what people report begin; those of alerts are 16 hex digits."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A row of `episodes`; at most one is open per (cluster, fingerprint)."""

    id: int
    cluster: str
    fingerprint: str
    incident_id: int
    alert_name: str
    labels: Labels
    annotations: Labels
    starts_at: datetime
    starts_at_text: str
    last_seen_at: datetime
    ended_at: datetime | None = None
    """None while it is open."""
    receiver: str = ""
    """Alertmanager's name for us, under which a webhook told of it; empty: none did."""
    held_by: str = ""
    """Address of an Alertmanager whose API was seen to list it; empty: of none so far."""

    @property
    def is_reported(self) -> bool:
        """Whether a person reported it: then it is over when a person says so, and not before."""
        return self.fingerprint.startswith(BY_HAND)


LESSER = ("info", "warning")
"""Severities below all others, the least first; one that is not known counts as grave."""


def gravity(labels: Labels) -> int:
    """Rank an alert by its severity: 0 info, 1 warning, 2 critical and whatever else there is."""
    severity = labels.get("severity", "")
    return LESSER.index(severity) if severity in LESSER else len(LESSER)


def holding(episodes: Sequence[Episode]) -> list[Episode]:
    """Return the episodes that hold their incident open.

    They are the open ones that are as grave as the gravest that was ever part of it. A warning that
    counts the restarts of a day goes on long after a crash loop is cured; it must not keep the
    incident open, and people paged, until tomorrow.
    """
    gravest = max((gravity(episode.labels) for episode in episodes), default=0)
    return [
        episode
        for episode in episodes
        if episode.ended_at is None and gravity(episode.labels) == gravest
    ]


A_TICK = timedelta(milliseconds=1)
"""Alertmanager's API cuts times to this, its webhook does not: within it, two starts are one."""


class Change(StrEnum):
    """What a delivered alert means for the episode of its fingerprint."""

    OPEN = "open"
    """First firing, or firing again after a resolve."""
    REPEAT = "repeat"
    """Another delivery of the open episode (startsAt may even move backwards: HA Prometheus)."""
    REFIRE = "refire"
    """It resolved and fired again between two deliveries: only startsAt jumped forward. The open
    episode is closed at the new start and a new one opened."""
    RESOLVE = "resolve"
    STALE = "stale"
    """Tells of a time before what is known (a late resolve of an earlier episode, a firing older
    than the last end): changes nothing."""
    ORPHAN = "orphan"
    """A resolve of something that never fired here: changes nothing."""


def classify(alert: Alert, open_episode: Episode | None, last_ended: Episode | None) -> Change:
    """Say what `alert` means, by startsAt and endsAt alone, never by the order of arrival.

    `last_ended` is the newest closed episode of the same fingerprint, if any.
    """
    if alert.status is AlertStatus.FIRING:
        return _firing(alert, open_episode, last_ended)
    return _resolved(alert, open_episode, last_ended)


def _firing(alert: Alert, open_episode: Episode | None, last_ended: Episode | None) -> Change:
    if _ended_after(last_ended, alert.starts_at):
        return Change.STALE
    if open_episode is None:
        return Change.OPEN
    jumped = alert.starts_at - open_episode.starts_at >= A_TICK
    return Change.REFIRE if jumped else Change.REPEAT


def _resolved(alert: Alert, open_episode: Episode | None, last_ended: Episode | None) -> Change:
    if open_episode is None:
        known = _ended_after(last_ended, alert.starts_at)
        return Change.STALE if known else Change.ORPHAN
    # A resolve without an end proves nothing later than its start.
    ends_at = alert.ends_at or alert.starts_at
    if ends_at < open_episode.starts_at:
        return Change.STALE
    # An episode cut off by a refire ends where the next begins; its own late resolve may say so.
    if ends_at == open_episode.starts_at and alert.starts_at < open_episode.starts_at:
        return Change.STALE
    return Change.RESOLVE


def _ended_after(episode: Episode | None, at: datetime) -> bool:
    return episode is not None and episode.ended_at is not None and episode.ended_at > at
