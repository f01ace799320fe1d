"""The only place that decides what a run does next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from responder.domain.gate import Reason
from responder.domain.plan import Outcome, RunResult
from responder.domain.policy import Runbook, StepDef

EFFECT, EVIDENCE, VERIFY = "effect", "evidence", "verify"
"""Roles, as responder.contract.Role spells them (the domain does not know actions)."""

COLLECT_EVIDENCE = "collect_evidence"
"""The action that every run begins with unless its runbook collects evidence itself."""


@dataclass(frozen=True, slots=True)
class Done:
    """A step that has ended, in the order of the run."""

    step: StepDef
    role: str
    """`effect`, `evidence`, `verify` or `neutral` (responder.contract.Role)."""
    outcome: Outcome
    reason: str = ""
    """Why, in words; of a refusal by the gate it begins with the gate's own reason."""


@dataclass(frozen=True, slots=True)
class Execute:
    """Do this step next."""

    index: int
    """Position in the run, from 0."""
    step: StepDef


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over."""

    result: RunResult
    reason: str


Command = Execute | Finish


def steps_of(runbook: Runbook, roles: Mapping[str, str]) -> tuple[StepDef, ...]:
    """Return the steps that a run of `runbook` takes: evidence first, bare verifies filled in.

    `roles` maps action names to roles. `collect_evidence` is put before the first step unless the
    runbook names it before its first effect; a `verify` without parameters inherits the one before.
    Doing it twice changes nothing more.
    """
    steps: list[StepDef] = []
    inherited: dict[str, StepDef] = {}
    for step in runbook.steps:
        full = step
        if roles.get(step.action) == VERIFY:
            if not step.params and step.action in inherited:
                full = replace(step, params=inherited[step.action].params)
            inherited[step.action] = full
        steps.append(full)
    before_effects = takewhile(lambda step: roles.get(step.action) != EFFECT, steps)
    if not any(roles.get(step.action) == EVIDENCE for step in before_effects):
        steps.insert(0, StepDef(COLLECT_EVIDENCE))
    return tuple(steps)


def next_command(
    steps: Sequence[StepDef], done: Sequence[Done], *, resolved: bool, roles: Mapping[str, str]
) -> Command:
    """Decide what happens next.

    A verify that is DONE ends the run as CURED; one that FAILED goes on to the next step, and is
    EXHAUSTED when none is left. REFUSED (by observe mode: OBSERVED), HELD, CANNOT_TELL, UNKNOWN and
    a FAILED effect end the run with that result, and so does FAILED evidence: nothing is changed
    without it. SKIPPED goes on. A verify whose preceding effects were all skipped is still taken.
    `resolved` (every episode ended, or a person resolved it) stops the run before its next effect:
    STOPPED when none was made yet; after an effect the run goes on to its next verify, leaving out
    what stands between, and ends with that verdict.

    `roles` maps action names to roles; an action it does not know counts as an effect. Raises
    ValueError when `done` holds a step that is not one of `steps`, in their order.
    """
    if done and (over := _over(done[-1])):
        return over
    index = _position(steps, done)
    acted = [at for at, item in enumerate(done) if item.role == EFFECT and _is_done(item)]
    if resolved and acted:
        verdicts = [item for item in done[acted[-1] :] if item.role == VERIFY]
        if any(item.outcome is Outcome.FAILED for item in verdicts):
            return _last(done, "the alert has resolved")
        later = range(index, len(steps))
        index = next((at for at in later if roles.get(steps[at].action) == VERIFY), index)
    left_out = any(item.role == EFFECT for item in done) and index == len(steps)
    if resolved and not acted and (left_out or _is_effect(steps, index, roles)):
        return Finish(RunResult.STOPPED, "resolved before any effect")
    if index == len(steps):
        return _last(done, "no step is left")
    if resolved and _is_effect(steps, index, roles):
        return _last(done, "resolved before the next effect")
    return Execute(index, steps[index])


def _is_effect(steps: Sequence[StepDef], index: int, roles: Mapping[str, str]) -> bool:
    return index < len(steps) and roles.get(steps[index].action, EFFECT) == EFFECT


_RESULTS: Mapping[Outcome, RunResult] = {
    Outcome.REFUSED: RunResult.REFUSED,
    Outcome.HELD: RunResult.HELD,
    Outcome.CANNOT_TELL: RunResult.CANNOT_TELL,
    Outcome.UNKNOWN: RunResult.UNKNOWN,
}
"""Outcomes that end a run whatever the step was."""


def _over(last: Done) -> Finish | None:
    """Return the end that the step itself brought, if it did."""
    reason = f"{last.step.action}: {last.reason or last.outcome.value}"
    if last.role == VERIFY and _is_done(last):
        return Finish(RunResult.CURED, reason)
    if last.outcome is Outcome.FAILED and last.role in (EFFECT, EVIDENCE):
        return Finish(RunResult.FAILED, reason)
    if last.outcome is Outcome.REFUSED and last.reason.startswith(Reason.OBSERVE_MODE.value):
        return Finish(RunResult.OBSERVED, reason)
    result = _RESULTS.get(last.outcome)
    return Finish(result, reason) if result else None


def _position(steps: Sequence[StepDef], done: Sequence[Done]) -> int:
    """Return the index after the last step done; steps that were left out are passed over."""
    index = 0
    for item in done:
        try:
            index = next(at for at in range(index, len(steps)) if steps[at] == item.step) + 1
        except StopIteration:
            raise ValueError(f"{item.step.action} is not a step of this run here") from None
    return index


def _last(done: Sequence[Done], why: str) -> Finish:
    """Return the end of a run that takes no further step."""
    failed = [item for item in done if item.role == VERIFY and item.outcome is Outcome.FAILED]
    if not failed:
        return Finish(RunResult.COMPLETED, f"{why} and nothing was verified")
    said = f": {failed[-1].reason}" if failed[-1].reason else ""
    return Finish(RunResult.EXHAUSTED, f"{why}; the last verification failed{said}")


def _is_done(item: Done) -> bool:
    return item.outcome is Outcome.DONE
