"""Facts of an incident, append-only, under the six phases of the operations guide."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from responder.domain.values import JsonObject


class Phase(StrEnum):
    """The guide's phases of an incident, in their order."""

    DETECTION = "Detection"
    ASSESSMENT = "Assessment"
    MITIGATION = "Mitigation"
    INVESTIGATION = "Investigation"
    RESOLUTION = "Resolution"
    POST_INCIDENT = "Post-Incident"


class Kind(StrEnum):
    """What a fact says; the report and the demo read these."""

    ALERT_FIRING = "alert_firing"
    ALERT_RESOLVED = "alert_resolved"
    REPORTED = "reported"
    """By a person."""
    INCIDENT_OPENED = "incident_opened"
    INCIDENT_REOPENED = "incident_reopened"
    INCIDENT_ACKED = "incident_acked"
    INCIDENT_RESOLVED = "incident_resolved"
    INCIDENT_HELD = "incident_held"
    INCIDENT_RESUMED = "incident_resumed"
    DECISION = "decision"
    """A person's: who, what, why."""
    SWITCHED = "switched"
    """The kill switch was turned."""
    RUN_STARTED = "run_started"
    RUN_ENDED = "run_ended"
    EVIDENCE = "evidence"
    PLANNED = "planned"
    VERDICT = "verdict"
    APPLIED = "applied"
    SETTLED = "settled"
    SKIPPED = "skipped"
    VERIFIED = "verified"
    NOTIFIED = "notified"
    ESCALATED = "escalated"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the timeline; `key` is unique within the incident, so a repeat adds nothing."""

    key: str
    at: datetime
    phase: Phase
    kind: Kind
    text: str
    """A whole sentence for people."""
    facts: JsonObject = field(default_factory=dict)
    actor: str = "runbookd"
    """Who: `runbookd`, `alertmanager`, or the name of a person's token."""
