"""The one gate: judges every plan at the moment it would be carried out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from responder.domain.plan import Plan
from responder.domain.policy import GateConfig, Limits, Mode


class Reason(StrEnum):
    """Why a plan may not be carried out (now); each value is shown to people as it stands."""

    KILL_SWITCH = "the kill switch is on"
    OBSERVE_MODE = "the runbook is in observe mode"
    NAMESPACE_NOT_ALLOWED = "its namespace is not in gate.namespaces.allow"
    NAMESPACE_DENIED = "its namespace is in gate.namespaces.deny"
    OPTED_OUT = 'the object carries runbookd.io/act: "false"'
    ACTION_REFUSED = "the action itself refuses"
    TARGET_GONE = "the target does not exist"
    TARGET_REPLACED = "the target is not the object that the incident is about (other uid)"
    ROLLOUT_IN_PROGRESS = "a rollout of the target is in progress"
    TARGET_BUSY = "another run is acting on the target"
    COOLING_DOWN = "the target was acted on too recently"
    TARGET_BUDGET = "the target's budget of changes is used up"
    CLUSTER_BUDGET = "the cluster's budget of changes is used up"
    CANNOT_TELL = "what the gate needs to know could not be read"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Go ahead."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not now and not later: the run stops."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """Not now: judge again after `recheck_after`, until the gate's `hold` is over."""

    reason: Reason
    recheck_after: timedelta
    detail: str = ""


Verdict = Allowed | Refused | Held


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that the gate looks at beside the plan, read just before."""

    mode: Mode
    kill_switch: bool
    opted_out: bool
    exists: bool
    rollout_in_progress: bool
    """Of the target, not caused by this run's own last effect (that one has settled)."""
    busy_with: str
    """Name of an earlier unfinished run on the same target, or empty."""
    target_effects: Sequence[datetime]
    """When this target was acted on in the last day, by any run."""
    target_effects_of_other_runs: Sequence[datetime]
    cluster_effects: Sequence[datetime]
    """When anything was acted on in the last hour."""
    unreadable: str = ""
    """What could not be read (the API server is away), or empty."""


def judge(
    plan: Plan, situation: Situation, limits: Limits, config: GateConfig, *, now: datetime
) -> Verdict:
    """Judge one plan. Pure; the first reason in order of gravity wins; fails closed."""
    raise NotImplementedError


def verdict_to_json(verdict: Verdict) -> dict[str, str]:
    """Return verdict (allowed, refused, held), reason and detail, for storing and showing."""
    raise NotImplementedError
