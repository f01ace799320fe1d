"""The one gate: judges every plan at the moment it would be carried out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from responder.domain.plan import Plan
from responder.domain.policy import GateConfig, Limits, Mode

RECHECK = timedelta(seconds=5)
"""How soon to look again at what ends by itself at no known time: a rollout, another run."""


RECHECK_HOLD = timedelta(minutes=1)
"""How soon to look again whether a person still holds it; resuming wakes the run at once."""


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
    TAKEN_OVER = "a person holds the incident and runs something else"
    HELD_BY_A_PERSON = "a person holds the incident"
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
    replaced: bool = False
    """Another object (other uid) stands under the target's name since the first plan."""
    held_by: str = ""
    """The person who holds the incident, where an alert asked for the run; or empty."""
    taken_over_by: str = ""
    """A person's own run that waits for this one, where an alert asked for it; or empty."""


def judge(
    plan: Plan, situation: Situation, limits: Limits, config: GateConfig, *, now: datetime
) -> Verdict:
    """Judge one plan. Pure; the first reason in order of gravity wins; fails closed.

    What people decided refuses first (kill switch, mode, namespaces, opt-out), then what the plan
    is about (gone, replaced, the action's own refusal); what passes by itself only holds. Cooldown
    and budgets hold until they free, so that the gate's `hold` decides between waiting and people;
    a budget of nothing never frees and refuses.
    """
    return (
        _forbidden(plan, situation, config)
        or _pointless(plan, situation)
        or _not_now(situation)
        or _too_often(situation, limits, config, now)
        or Allowed()
    )


def _forbidden(plan: Plan, situation: Situation, config: GateConfig) -> Refused | None:
    namespace = plan.target.namespace
    if situation.kill_switch:
        return Refused(Reason.KILL_SWITCH)
    if situation.mode is Mode.OBSERVE:
        return Refused(Reason.OBSERVE_MODE)
    if namespace in config.deny:
        return Refused(Reason.NAMESPACE_DENIED, f"({namespace})")
    # Objects of the cluster have no namespace that could be allowed.
    if not namespace or namespace not in config.allow:
        return Refused(Reason.NAMESPACE_NOT_ALLOWED, f"({namespace or 'it has none'})")
    if situation.opted_out:
        return Refused(Reason.OPTED_OUT)
    return None


def _pointless(plan: Plan, situation: Situation) -> Refused | None:
    if situation.unreadable:  # what was not read cannot be called gone
        return None
    if not situation.exists:
        return Refused(Reason.TARGET_GONE, f"({plan.target})")
    if situation.replaced:
        return Refused(Reason.TARGET_REPLACED)
    if plan.refusal:
        return Refused(Reason.ACTION_REFUSED, f"({plan.refusal})")
    return None


def _not_now(situation: Situation) -> Refused | Held | None:
    if situation.unreadable:
        return Held(Reason.CANNOT_TELL, RECHECK, f"({situation.unreadable})")
    if situation.held_by and situation.taken_over_by:
        return Refused(Reason.TAKEN_OVER, f"({situation.taken_over_by})")
    if situation.held_by:
        return Held(Reason.HELD_BY_A_PERSON, RECHECK_HOLD, f"({situation.held_by})")
    if situation.rollout_in_progress:
        return Held(Reason.ROLLOUT_IN_PROGRESS, RECHECK)
    if situation.busy_with:
        return Held(Reason.TARGET_BUSY, RECHECK, f"({situation.busy_with})")
    return None


def _too_often(
    situation: Situation, limits: Limits, config: GateConfig, now: datetime
) -> Refused | Held | None:
    last = max(situation.target_effects_of_other_runs, default=None)
    if last is not None and last + limits.cooldown > now:
        left = last + limits.cooldown - now
        return Held(Reason.COOLING_DOWN, left, f"(last at {last:%H:%M:%S} UTC)")
    hour, day = timedelta(hours=1), timedelta(days=1)
    return (
        _spent(Reason.TARGET_BUDGET, situation.target_effects, limits.per_hour, hour, now)
        or _spent(Reason.TARGET_BUDGET, situation.target_effects, limits.per_day, day, now)
        or _spent(
            Reason.CLUSTER_BUDGET, situation.cluster_effects, config.cluster_per_hour, hour, now
        )
    )


def _spent(
    reason: Reason, effects: Sequence[datetime], limit: int, span: timedelta, now: datetime
) -> Refused | Held | None:
    """Hold until enough effects have left the last `span` for one more."""
    said = f"({limit} in {span.total_seconds() / 3600:g} h)"
    if limit <= 0:
        return Refused(reason, said)
    recent = sorted(at for at in effects if at + span > now)
    if len(recent) < limit:
        return None
    return Held(reason, recent[len(recent) - limit] + span - now, said)


def verdict_to_json(verdict: Verdict) -> dict[str, str]:
    """Return verdict (allowed, refused, held), reason and detail, for storing and showing."""
    match verdict:
        case Allowed():
            return {"verdict": "allowed", "reason": "", "detail": ""}
        case Refused(reason, detail):
            return {"verdict": "refused", "reason": reason.value, "detail": detail}
        case Held(reason, _, detail):
            return {"verdict": "held", "reason": reason.value, "detail": detail}
        case _:
            assert_never(verdict)
