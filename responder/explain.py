"""One alert in, the whole decision out, in words; nothing is asked and nothing is done."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from exporter.shared.config import format_duration
from responder.domain.gate import Situation, judge, verdict_to_json
from responder.domain.plan import Blast, Plan
from responder.domain.planner import EFFECT, steps_of
from responder.domain.policy import Level, Match, Mode, Policy, Runbook, StepDef, match
from responder.domain.target import NeedsOwner, Resolution, resolve
from responder.domain.values import JsonObject, Labels, Target

DEFAULT_ESCALATION = "default"
"""Who is told when no runbook matches."""

CLEAR = Situation(
    mode=Mode.ACT,
    kill_switch=False,
    opted_out=False,
    exists=True,
    rollout_in_progress=False,
    busy_with="",
    target_effects=(),
    target_effects_of_other_runs=(),
    cluster_effects=(),
)
"""What is assumed of the cluster when nobody looked."""


@dataclass(frozen=True, slots=True)
class ExplainedStep:
    """One step that a run would take."""

    action: str
    role: str
    params: JsonObject
    condition: str
    """In words, or empty."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says about one alert."""

    matches: tuple[Match, ...]
    """Every runbook in order, with the reason why it is or is not the one."""
    runbook: str
    """Empty when none matches: the incident only escalates."""
    mode: str
    target: str
    """`kind/namespace/name`, or empty."""
    target_reason: str
    """What is still to be looked up, or why there is no target; else empty."""
    steps: tuple[ExplainedStep, ...]
    verdict: Mapping[str, str]
    """Of the gate on an effect: verdict, reason, detail; empty when there is none to judge."""
    assumed: bool
    """True when the gate judged by a clear situation because none was given."""
    levels: tuple[Level, ...]

    def to_json(self) -> JsonObject:
        """Return the decision as JSON."""
        return {
            "matches": [asdict(item) for item in self.matches],
            "runbook": self.runbook,
            "mode": self.mode,
            "target": self.target,
            "target_reason": self.target_reason,
            "steps": [asdict(step) for step in self.steps],
            "verdict": dict(self.verdict),
            "assumed": self.assumed,
            "escalation": [
                {"after": format_duration(level.after), "notify": list(level.notify)}
                for level in self.levels
            ],
        }

    def lines(self) -> list[str]:
        """Return the decision as text, line by line."""
        found = ["Runbooks, in order:"]
        found += [
            f"  {'✓' if item.matched else '✗'} {item.runbook}: {item.reason}"
            for item in self.matches
        ]
        chosen = f"{self.runbook} ({self.mode})" if self.runbook else "none; it only escalates"
        found += [f"Runbook: {chosen}", f"Target: {self.target or 'none'}"]
        if self.target_reason:
            found.append(f"  {self.target_reason}")
        if self.steps:
            found.append("Steps:")
            found += [f"  {number}. {_said(step)}" for number, step in enumerate(self.steps, 1)]
        if self.verdict:
            reason = f"{self.verdict['reason']} {self.verdict['detail']}".strip()
            found.append(f"Gate: {self.verdict['verdict']}{f': {reason}' if reason else ''}")
        if self.verdict and self.assumed:
            found.append("  (if the target exists, is not being changed and was not lately)")
        found.append("Escalation while it is not resolved:")
        found += [
            f"  level {number} after {format_duration(level.after)}: {', '.join(level.notify)}"
            for number, level in enumerate(self.levels, 1)
        ]
        return found


def simulate(
    policy: Policy,
    labels: Labels,
    roles: Mapping[str, str],
    *,
    situation: Situation | None = None,
    plan: Plan | None = None,
    now: datetime | None = None,
) -> Decision:
    """Explain what `policy` decides about an alert with `labels`.

    `roles` maps action names to roles. `situation`, `plan` and `now` are what the gate looks at,
    where they are known; else it judges a plan without refusal in a clear situation.
    """
    runbook, tried = match(policy, labels)
    found = resolve(policy.targets[runbook.target], labels) if runbook else None
    target, reason = _aim(found)
    steps = steps_of(runbook, roles) if runbook and target else ()
    verdict: Mapping[str, str] = {}
    if runbook and target and any(roles.get(step.action) == EFFECT for step in steps):
        judged = judge(
            plan or Plan("simulated", target, "", Blast(0, 0), reversible=True),
            replace(situation or CLEAR, mode=runbook.mode),
            runbook.limits,
            policy.gate,
            now=now or datetime.fromtimestamp(0, UTC),
        )
        verdict = verdict_to_json(judged)
    escalation = runbook.escalation if runbook else DEFAULT_ESCALATION
    return Decision(
        matches=(*tried, *_after(policy, runbook, len(tried))),
        runbook=runbook.name if runbook else "",
        mode=runbook.mode.value if runbook else "",
        target="" if target is None or isinstance(found, NeedsOwner) else str(target),
        target_reason=reason,
        steps=tuple(_step(step, roles) for step in steps),
        verdict=verdict,
        assumed=situation is None,
        levels=policy.escalation.get(escalation, ()),
    )


def _after(policy: Policy, chosen: Runbook | None, tried: int) -> list[Match]:
    """Return the runbooks that were not tried because an earlier one had matched."""
    name = chosen.name if chosen else ""
    return [
        Match(runbook.name, matched=False, reason=f"not tried: {name} comes first")
        for runbook in policy.runbooks[tried:]
    ]


def _aim(found: Resolution | None) -> tuple[Target | None, str]:
    """Return what the gate can be asked about, and what is to be said of the target."""
    if found is None or isinstance(found, Target):
        return found, ""
    if isinstance(found, NeedsOwner):
        pod = Target("Pod", found.namespace, found.pod)
        return pod, f"the workload that owns {pod}: its owners are walked when it happens"
    return None, found.reason


def _step(step: StepDef, roles: Mapping[str, str]) -> ExplainedStep:
    younger = step.when.rollout_younger_than
    condition = f"the last release is younger than {format_duration(younger)}" if younger else ""
    return ExplainedStep(step.action, roles.get(step.action, ""), step.params, condition)


def _said(step: ExplainedStep) -> str:
    params = ", ".join(f"{key}: {value}" for key, value in step.params.items() if value is not None)
    said = f"{step.action} {{{params}}} [{step.role}]"
    return f"{said}, only if {step.condition}" if step.condition else said
