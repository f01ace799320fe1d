"""Alerts as Alertmanager delivers them, parsed once at the boundary."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from responder.domain.values import Labels


class AlertStatus(StrEnum):
    """Status of one alert; the status of a group is never used (it can lie)."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a delivery."""

    fingerprint: str
    """16 hex digits over the labels alone: the same in every episode of the alert."""
    status: AlertStatus
    labels: Labels
    annotations: Labels
    starts_at: datetime
    starts_at_text: str
    """As it arrived: nanoseconds do not fit a datetime."""
    ends_at: datetime | None
    """None while it fires (Alertmanager sends the year 1 then)."""
    generator_url: str = ""

    @property
    def name(self) -> str:
        """The alert's `alertname`, or empty."""
        return self.labels.get("alertname", "")


@dataclass(frozen=True, slots=True)
class Delivery:
    """The envelope of one webhook call."""

    receiver: str
    """Unescaped: Alertmanager sends regexp.QuoteMeta of the name."""
    group_key: str
    external_url: str
    truncated: int
    """Alerts that `max_alerts` cut off; above 0 the group is incomplete."""
    alerts: Sequence[Alert]
    group_labels: Labels = field(default_factory=dict)
    """What every alert of the group has in common by the route's `group_by`."""
