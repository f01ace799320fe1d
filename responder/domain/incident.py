"""Incidents and their runs: all open episodes of one target, and what was done about them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from responder.domain.plan import Outcome, RunResult
from responder.domain.policy import Level, Runbook
from responder.domain.values import JsonObject, Labels, Target


class IncidentStatus(StrEnum):
    """Life of an incident. At most one per (cluster, target) is OPEN or RESOLVED."""

    OPEN = "open"
    RESOLVED = "resolved"
    """Over, but a refire within the cooldown opens it again under the same id."""
    CLOSED = "closed"
    """Over for good."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A row of `incidents`."""

    id: int
    cluster: str
    target: Target
    status: IncidentStatus
    title: str
    severity: str
    labels: Labels
    """Labels of the alert that opened it; empty for a person's run."""
    opened_at: datetime
    runbook: Runbook | None
    """Frozen when the incident opened; None only escalates."""
    escalation: tuple[Level, ...]
    """Frozen when the incident opened."""
    target_problem: str = ""
    """Why the target could not be found, or empty; such an incident only escalates."""
    resolved_at: datetime | None = None
    resolved_by: str = ""
    acked_at: datetime | None = None
    acked_by: str = ""
    told_level: int = 0
    """Highest escalation level told so far."""
    escalate_now: str = ""
    """Why level 1 is due at once (a run failed, is unknown or exhausted), or empty."""
    held_at: datetime | None = None
    """Since when a person holds it: what an alert started waits before its next effect."""
    held_by: str = ""


class RunStatus(StrEnum):
    """Life of a run."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


CURES = (RunResult.CURED, RunResult.COMPLETED, RunResult.STOPPED)
"""Results after which an incident may end once its alerts have resolved."""

BY_ALERT = "alert"
"""Who requested a run that no person asked for; no token may have this name."""

BY_UNDO = "undo"
"""Who requested a run that takes back what was done for a while only; no token's name either."""

BY_MACHINE = frozenset({BY_ALERT, BY_UNDO})
"""Whose runs wait while a person holds the incident."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a runbook or of a single action; a row of `runs`."""

    incident_id: int
    number: int
    """1, 2, … within the incident."""
    runbook: Runbook
    """Frozen: a change of policy never reaches a run that has begun."""
    target: Target
    requested_by: str
    """`alert`, `undo`, or the name of a person's token."""
    first_step: int
    """Number of its first step; steps count over all runs of an incident."""
    created_at: datetime
    status: RunStatus = RunStatus.WAITING
    result: RunResult | None = None
    reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    not_before: datetime | None = None
    """When it may start at the earliest; None means at once."""

    def is_due(self, now: datetime) -> bool:
        """Say whether it waits for nothing but its turn."""
        is_time = self.not_before is None or self.not_before <= now
        return self.status is RunStatus.WAITING and is_time


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a run as far as it got; a row of `steps`."""

    incident_id: int
    run: int
    step: int
    key: str
    action: str
    target: Target
    params: JsonObject = field(default_factory=dict)
    plan: JsonObject | None = None
    verdict: JsonObject | None = None
    intent_at: datetime | None = None
    """Set before the effect is tried; counted by cooldowns and budgets."""
    boot: str = ""
    """Incarnation of the process that recorded the intent."""
    outcome: Outcome | None = None
    detail: str = ""
    facts: JsonObject = field(default_factory=dict)
    ended_at: datetime | None = None
    effect: bool = False
    """True when the step changes something (its role is EFFECT)."""
