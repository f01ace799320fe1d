from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.gate import Reason
from responder.domain.plan import Outcome, RunResult
from responder.domain.planner import Done, Execute, Finish, next_command, steps_of
from responder.domain.policy import Mode, Runbook, StepDef

ROLES = {
    "rollback": "effect",
    "restart": "effect",
    "collect_evidence": "evidence",
    "verify": "verify",
    "wait": "neutral",
}
VERIFY = StepDef("verify", {"kpi": "error_ratio"})


def _steps(*names: str) -> tuple[StepDef, ...]:
    return tuple(VERIFY if name == "verify" else StepDef(name) for name in names)


def _runbook(*steps: StepDef) -> Runbook:
    return Runbook("bad-release", (), "workload", Mode.ACT, steps)


def _done(steps: Sequence[StepDef], *outcomes: Outcome) -> list[Done]:
    return [
        Done(step, ROLES[step.action], outcome)
        for step, outcome in zip(steps, outcomes, strict=False)
    ]


def _next(steps: Sequence[StepDef], done: Sequence[Done], *, resolved: bool = False) -> object:
    match next_command(steps, done, resolved=resolved, roles=ROLES):
        case Execute(index, step):
            assert steps[index] is step
            return index
        case Finish(result):
            return result


def test_evidence_is_collected_first_unless_the_runbook_says_so_itself() -> None:
    first = [step.action for step in steps_of(_runbook(*_steps("restart")), ROLES)]
    assert first == ["collect_evidence", "restart"]
    own = _steps("wait", "collect_evidence", "restart")
    assert steps_of(_runbook(*own), ROLES) == own
    late = [s.action for s in steps_of(_runbook(*_steps("restart", "collect_evidence")), ROLES)]
    assert late == ["collect_evidence", "restart", "collect_evidence"]


def test_a_bare_verify_inherits_the_one_before() -> None:
    bare = StepDef("verify")
    other = StepDef("verify", {"kpi": "latency_p95"})
    steps = steps_of(_runbook(VERIFY, bare, other, bare), ROLES)
    assert [step.params for step in steps[1:]] == [
        VERIFY.params,
        VERIFY.params,
        other.params,
        other.params,
    ]


def test_filling_steps_in_twice_changes_nothing_more() -> None:
    once = steps_of(_runbook(*_steps("restart"), VERIFY, StepDef("verify")), ROLES)
    assert steps_of(_runbook(*once), ROLES) == once


STEPS = _steps("collect_evidence", "rollback", "verify", "restart", "verify")
DONE, FAILED, SKIPPED = Outcome.DONE, Outcome.FAILED, Outcome.SKIPPED


@pytest.mark.parametrize(
    ("outcomes", "wanted"),
    [
        ([], 0),
        ([DONE], 1),
        ([DONE, DONE], 2),
        ([DONE, DONE, DONE], RunResult.CURED),
        ([DONE, DONE, FAILED], 3),
        ([DONE, SKIPPED], 2),
        ([DONE, SKIPPED, SKIPPED, DONE, DONE], RunResult.CURED),
        ([DONE, DONE, FAILED, DONE, FAILED], RunResult.EXHAUSTED),
        ([DONE, DONE, FAILED, DONE, SKIPPED], RunResult.EXHAUSTED),
        ([DONE, DONE, Outcome.CANNOT_TELL], RunResult.CANNOT_TELL),
        ([DONE, Outcome.REFUSED], RunResult.REFUSED),
        ([DONE, Outcome.HELD], RunResult.HELD),
        ([DONE, Outcome.UNKNOWN], RunResult.UNKNOWN),
        ([DONE, FAILED], RunResult.FAILED),
        ([FAILED], RunResult.FAILED),
    ],
)
def test_what_follows_each_outcome(outcomes: list[Outcome], wanted: object) -> None:
    assert _next(STEPS, _done(STEPS, *outcomes)) == wanted


def test_a_failed_wait_goes_on() -> None:
    steps = _steps("wait", "restart")
    assert _next(steps, _done(steps, FAILED)) == 1


def test_a_refusal_by_observe_mode_is_an_observation() -> None:
    refused = Done(STEPS[1], "effect", Outcome.REFUSED, f"{Reason.OBSERVE_MODE.value} (today)")
    assert _next(STEPS, [*_done(STEPS, DONE), refused]) == RunResult.OBSERVED


def test_steps_without_a_verify_are_completed_at_the_end() -> None:
    steps = _steps("collect_evidence", "restart")
    assert _next(steps, _done(steps, DONE, DONE)) == RunResult.COMPLETED


@pytest.mark.parametrize(
    ("outcomes", "wanted"),
    [
        ([], 0),
        ([DONE], RunResult.STOPPED),
        ([DONE, SKIPPED, FAILED], RunResult.STOPPED),
        ([DONE, SKIPPED, FAILED, SKIPPED, FAILED], RunResult.STOPPED),
        ([DONE, DONE], 2),
        ([DONE, DONE, DONE], RunResult.CURED),
        ([DONE, DONE, FAILED], RunResult.EXHAUSTED),
        ([DONE, DONE, FAILED, DONE], 4),
    ],
)
def test_a_resolve_stops_before_the_next_effect_but_never_before_its_verify(
    outcomes: list[Outcome], wanted: object
) -> None:
    assert _next(STEPS, _done(STEPS, *outcomes), resolved=True) == wanted


def test_after_a_resolve_what_stands_before_the_verify_is_left_out() -> None:
    steps = _steps("rollback", "wait", "restart", "verify", "restart")
    done = _done(steps, DONE)
    assert _next(steps, done, resolved=True) == 3
    verified = [*done, *_done([VERIFY], FAILED)]
    assert _next(steps, verified, resolved=True) == RunResult.EXHAUSTED
    assert _next(steps, verified, resolved=False) == 4  # it fired again meanwhile


def test_a_resolve_with_no_verify_left_ends_before_the_next_effect() -> None:
    steps = _steps("rollback", "wait", "restart")
    done = _done(steps, DONE)
    assert _next(steps, done, resolved=True) == 1
    assert _next(steps, _done(steps, DONE, DONE), resolved=True) == RunResult.COMPLETED


def test_an_unknown_action_counts_as_an_effect() -> None:
    assert _next([StepDef("mystery")], [], resolved=True) == RunResult.STOPPED


def test_a_step_that_is_not_of_the_run_stops_it_loudly() -> None:
    with pytest.raises(ValueError, match="wait is not a step of this run here"):
        _next(STEPS, [Done(StepDef("wait"), "neutral", DONE)])


NAMES = st.lists(st.sampled_from(list(ROLES)), min_size=1, max_size=7)


@given(NAMES, st.data())
def test_every_run_ends_and_keeps_its_promises(names: list[str], data: st.DataObject) -> None:
    steps = steps_of(_runbook(*_steps(*names)), ROLES)
    done: list[Done] = []
    for _ in range(len(steps) + 1):
        resolved = data.draw(st.booleans())
        command = next_command(steps, done, resolved=resolved, roles=ROLES)
        if isinstance(command, Finish):
            break
        role = ROLES[command.step.action]
        if role == "effect":
            assert not resolved, "an effect after the alert resolved"
            assert any(item.role == "evidence" for item in done), "an effect without evidence"
            assert all(
                item.outcome in (DONE, SKIPPED) or item.role in ("verify", "neutral")
                for item in done
            ), "an effect after something was refused, held, failed or unknown"
            assert not any(item.role == "verify" and item.outcome is DONE for item in done)
        done.append(Done(command.step, role, data.draw(st.sampled_from(Outcome))))
    else:
        pytest.fail("the run did not end")
    if command.result is RunResult.CURED:
        assert done[-1].role == "verify"
        assert done[-1].outcome is DONE
    if command.result is RunResult.STOPPED:
        assert not any(item.role == "effect" and item.outcome is DONE for item in done)
