from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.gate import (
    RECHECK,
    RECHECK_HOLD,
    Allowed,
    Held,
    Reason,
    Refused,
    Situation,
    Verdict,
    judge,
    verdict_to_json,
)
from responder.domain.plan import Blast, Plan
from responder.domain.policy import GateConfig, Limits, Mode
from responder.domain.values import Target

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
PLAN = Plan("restart", Target("Deployment", "default", "web"), "restart", Blast(2, 2), True)  # noqa: FBT003 - reversible
CONFIG = GateConfig(allow=frozenset({"default"}), deny=frozenset({"kube-system"}))
LIMITS = Limits(cooldown=timedelta(minutes=15), per_hour=2, per_day=3)
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


def _judge(
    situation: Situation = CLEAR, plan: Plan = PLAN, config: GateConfig = CONFIG, at: datetime = NOW
) -> Verdict:
    return judge(plan, situation, LIMITS, config, now=at)


def _ago(*minutes: float) -> tuple[datetime, ...]:
    return tuple(NOW - timedelta(minutes=each) for each in minutes)


def _in(namespace: str) -> Plan:
    return replace(PLAN, target=Target("Deployment", namespace, "web"))


def test_a_clear_situation_is_allowed() -> None:
    assert _judge() == Allowed()


@pytest.mark.parametrize(
    ("situation", "plan", "verdict"),
    [
        (replace(CLEAR, kill_switch=True), PLAN, Refused(Reason.KILL_SWITCH)),
        (replace(CLEAR, mode=Mode.OBSERVE), PLAN, Refused(Reason.OBSERVE_MODE)),
        (CLEAR, _in("kube-system"), Refused(Reason.NAMESPACE_DENIED, "(kube-system)")),
        (CLEAR, _in("other"), Refused(Reason.NAMESPACE_NOT_ALLOWED, "(other)")),
        (CLEAR, _in(""), Refused(Reason.NAMESPACE_NOT_ALLOWED, "(it has none)")),
        (replace(CLEAR, opted_out=True), PLAN, Refused(Reason.OPTED_OUT)),
        (
            replace(CLEAR, exists=False),
            PLAN,
            Refused(Reason.TARGET_GONE, "(deployment/default/web)"),
        ),
        (replace(CLEAR, replaced=True), PLAN, Refused(Reason.TARGET_REPLACED)),
        (CLEAR, replace(PLAN, refusal="paused"), Refused(Reason.ACTION_REFUSED, "(paused)")),
        (
            replace(CLEAR, unreadable="API server away"),
            PLAN,
            Held(Reason.CANNOT_TELL, RECHECK, "(API server away)"),
        ),
        (
            replace(CLEAR, rollout_in_progress=True),
            PLAN,
            Held(Reason.ROLLOUT_IN_PROGRESS, RECHECK),
        ),
        (
            replace(CLEAR, busy_with="run 1 of INC-7"),
            PLAN,
            Held(Reason.TARGET_BUSY, RECHECK, "(run 1 of INC-7)"),
        ),
        (
            replace(CLEAR, held_by="ann"),
            PLAN,
            Held(Reason.HELD_BY_A_PERSON, RECHECK_HOLD, "(ann)"),
        ),
        (
            replace(CLEAR, held_by="ann", taken_over_by="run 2 of INC-7 by ann"),
            PLAN,
            Refused(Reason.TAKEN_OVER, "(run 2 of INC-7 by ann)"),
        ),
    ],
)
def test_each_thing_in_the_way_has_its_own_reason(
    situation: Situation, plan: Plan, verdict: Verdict
) -> None:
    assert _judge(situation, plan) == verdict


def test_a_persons_run_that_waits_stops_no_run_that_nobody_holds() -> None:
    assert _judge(replace(CLEAR, taken_over_by="run 2 of INC-7 by ann")) == Allowed()


def test_nothing_allowed_means_nothing_may_be_touched() -> None:
    verdict = _judge(config=GateConfig())
    assert verdict == Refused(Reason.NAMESPACE_NOT_ALLOWED, "(default)")


def test_denied_stands_over_allowed() -> None:
    both = GateConfig(allow=frozenset({"default"}), deny=frozenset({"default"}))
    assert _judge(config=both) == Refused(Reason.NAMESPACE_DENIED, "(default)")


def test_what_could_not_be_read_is_not_called_gone() -> None:
    verdict = _judge(replace(CLEAR, exists=False, unreadable="timeout"))
    assert verdict == Held(Reason.CANNOT_TELL, RECHECK, "(timeout)")


def test_cooldown_counts_other_runs_only_and_holds_for_what_is_left() -> None:
    own = replace(CLEAR, target_effects=_ago(5))
    assert _judge(own) == Allowed()
    others = replace(own, target_effects_of_other_runs=_ago(5, 14))
    wanted = Held(Reason.COOLING_DOWN, timedelta(minutes=10), "(last at 11:55:00 UTC)")
    assert _judge(others) == wanted


@pytest.mark.parametrize(
    ("effects", "wait"),
    [
        (_ago(10), None),
        (_ago(10, 59), timedelta(minutes=1)),
        (_ago(10, 60), None),
        (_ago(10, 20, 50), timedelta(minutes=40)),
        (_ago(70, 80, 90), timedelta(hours=24) - timedelta(minutes=90)),
    ],
)
def test_a_targets_budget_holds_until_an_effect_leaves_it(
    effects: Sequence[datetime], wait: timedelta | None
) -> None:
    verdict = _judge(replace(CLEAR, target_effects=effects))
    if wait is None:
        assert verdict == Allowed()
    else:
        assert isinstance(verdict, Held)
        assert (verdict.reason, verdict.recheck_after) == (Reason.TARGET_BUDGET, wait)


def test_the_clusters_budget_counts_every_target() -> None:
    verdict = _judge(
        replace(CLEAR, cluster_effects=_ago(1, 40)), config=replace(CONFIG, cluster_per_hour=2)
    )
    assert verdict == Held(Reason.CLUSTER_BUDGET, timedelta(minutes=20), "(2 in 1 h)")


def test_a_budget_of_nothing_refuses() -> None:
    verdict = _judge(config=replace(CONFIG, cluster_per_hour=0))
    assert verdict == Refused(Reason.CLUSTER_BUDGET, "(0 in 1 h)")


@pytest.mark.parametrize(
    ("verdict", "stored"),
    [
        (Allowed(), {"verdict": "allowed", "reason": "", "detail": ""}),
        (
            Refused(Reason.OPTED_OUT, "x"),
            {"verdict": "refused", "reason": Reason.OPTED_OUT.value, "detail": "x"},
        ),
        (
            Held(Reason.TARGET_BUSY, RECHECK),
            {"verdict": "held", "reason": Reason.TARGET_BUSY.value, "detail": ""},
        ),
    ],
)
def test_a_verdict_is_stored_with_its_reason(verdict: Verdict, stored: dict[str, str]) -> None:
    assert verdict_to_json(verdict) == stored


EFFECTS = st.lists(st.integers(0, 1500).map(lambda minutes: _ago(minutes)[0]), max_size=8)
SITUATIONS = st.builds(
    Situation,
    mode=st.sampled_from(Mode),
    kill_switch=st.booleans(),
    opted_out=st.booleans(),
    exists=st.booleans(),
    rollout_in_progress=st.booleans(),
    busy_with=st.sampled_from(["", "run 1 of INC-7"]),
    target_effects=EFFECTS,
    target_effects_of_other_runs=EFFECTS,
    cluster_effects=EFFECTS,
    unreadable=st.sampled_from(["", "timeout"]),
    replaced=st.booleans(),
    held_by=st.sampled_from(["", "ann"]),
    taken_over_by=st.sampled_from(["", "run 2 of INC-7 by ann"]),
)
NAMESPACES = st.sampled_from(["", "default", "kube-system", "other"])


@given(SITUATIONS, NAMESPACES)
def test_allowed_means_that_nothing_at_all_speaks_against(
    situation: Situation, namespace: str
) -> None:
    if _judge(situation, _in(namespace)) != Allowed():
        return
    assert namespace == "default"
    assert situation.mode is Mode.ACT
    assert situation.exists
    assert not any((situation.kill_switch, situation.opted_out, situation.replaced))
    assert not any((situation.rollout_in_progress, situation.busy_with, situation.unreadable))
    assert not situation.held_by
    others = situation.target_effects_of_other_runs
    assert all(NOW - at >= LIMITS.cooldown for at in others)
    hour = [at for at in situation.target_effects if NOW - at < timedelta(hours=1)]
    day = [at for at in situation.target_effects if NOW - at < timedelta(days=1)]
    assert len(hour) < LIMITS.per_hour
    assert len(day) < LIMITS.per_day


@given(EFFECTS, EFFECTS, st.integers(0, 2000))
def test_what_time_alone_holds_frees_and_never_closes_again(
    target: list[datetime], others: list[datetime], minutes: int
) -> None:
    situation = replace(CLEAR, target_effects=target, target_effects_of_other_runs=others)
    verdict = _judge(situation)
    later = _judge(situation, at=NOW + timedelta(minutes=minutes))
    if verdict == Allowed():
        assert later == Allowed()
    if isinstance(verdict, Held):
        assert verdict.recheck_after > timedelta(0)
        after = _judge(situation, at=NOW + verdict.recheck_after)
        assert not isinstance(after, Held) or after != verdict
