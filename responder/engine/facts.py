"""Words the timeline's facts about steps; every key is derived, so a repeat adds nothing."""

from collections.abc import Mapping
from datetime import datetime

from responder.contract import Role
from responder.domain.incident import StepRecord
from responder.domain.plan import Outcome, Plan
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import JsonObject


def planned(key: str, plan: Plan, at: datetime) -> Fact:
    """Say what would be done, before it is judged."""
    reversible = "reversible" if plan.reversible else "not reversible"
    return Fact(
        key=f"{key}:plan:{plan.summary}",
        at=at,
        phase=Phase.ASSESSMENT,
        kind=Kind.PLANNED,
        text=f"Plan: {plan.summary} ({plan.blast.pods} of {plan.blast.of} pods, {reversible}).",
        facts={"key": key, "action": plan.action, "effect": plan.effect},
    )


def judged(key: str, plan: Plan, verdict: Mapping[str, str], at: datetime) -> Fact:
    """Say how the gate judged a plan, and why."""
    reason = f": {verdict['reason']} {verdict['detail']}".rstrip() if verdict["reason"] else ""
    return Fact(
        key=f"{key}:verdict:{verdict['verdict']}:{verdict['reason']}",
        at=at,
        phase=Phase.ASSESSMENT,
        kind=Kind.VERDICT,
        text=f"Gate: {plan.action} {verdict['verdict']}{reason}.",
        facts={"key": key, **verdict},
    )


def applied(key: str, plan: Plan, how: str, at: datetime) -> Fact:
    """Say that an effect was made."""
    note = f" ({how})" if how else ""
    return Fact(
        key=f"{key}:applied",
        at=at,
        phase=Phase.MITIGATION,
        kind=Kind.APPLIED,
        text=f"Applied: {plan.summary}{note}.",
        facts={"key": key, "action": plan.action},
    )


_ENDED: Mapping[Role, tuple[Phase, Kind]] = {
    Role.EFFECT: (Phase.MITIGATION, Kind.SETTLED),
    Role.EVIDENCE: (Phase.ASSESSMENT, Kind.EVIDENCE),
    Role.VERIFY: (Phase.MITIGATION, Kind.VERIFIED),
    Role.NEUTRAL: (Phase.MITIGATION, Kind.SETTLED),
}


def ended(
    record: StepRecord,
    role: Role,
    outcome: Outcome,
    detail: str,
    found: JsonObject | None,
    at: datetime,
) -> Fact:
    """Say how a step ended, and why."""
    phase, kind = _ENDED[role]
    if outcome is Outcome.SKIPPED:
        kind = Kind.SKIPPED
    said = outcome.value.replace("_", " ")
    return Fact(
        key=f"{record.key}:ended",
        at=at,
        phase=phase,
        kind=kind,
        text=f"{record.action}: {said}{f', {detail}' if detail else ''}.",
        facts={"key": record.key, "outcome": outcome.value, **(found or {})},
    )
