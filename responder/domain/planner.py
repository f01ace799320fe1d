"""The only place that decides what a run does next."""

from collections.abc import Sequence
from dataclasses import dataclass

from responder.domain.plan import Outcome, RunResult
from responder.domain.policy import Runbook, StepDef


@dataclass(frozen=True, slots=True)
class Done:
    """A step that has ended, in the order of the run."""

    step: StepDef
    role: str
    """`effect`, `evidence`, `verify` or `neutral` (responder.contract.Role)."""
    outcome: Outcome


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


def steps_of(runbook: Runbook, roles: dict[str, str]) -> tuple[StepDef, ...]:
    """Return the steps that a run of `runbook` takes: evidence first, bare verifies filled in.

    `roles` maps action names to roles. `collect_evidence` is put before the first step unless the
    runbook names it before its first effect; a `verify` without parameters inherits the one before.
    """
    raise NotImplementedError


def next_command(steps: Sequence[StepDef], done: Sequence[Done], *, resolved: bool) -> Command:
    """Decide what happens next.

    A verify that is DONE ends the run as CURED; one that FAILED goes on to the next step, and is
    EXHAUSTED when none is left. REFUSED (by observe mode: OBSERVED), HELD, CANNOT_TELL, UNKNOWN and
    a FAILED effect end the run with that result. SKIPPED goes on. A verify whose preceding effects
    were all skipped is still taken. `resolved` (every episode ended, or a person resolved it) stops
    the run before its next effect: STOPPED when none was made yet; after an effect the run goes on
    to its next verify and ends with that verdict.
    """
    raise NotImplementedError
