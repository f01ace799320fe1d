import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.matchers import Matcher, MatchOp, parse_matcher
from responder.domain.policy import (
    GateConfig,
    Limits,
    Mode,
    Policy,
    Runbook,
    StepDef,
    When,
    match,
    runbook_from_json,
    runbook_to_json,
)

MATCHERS = st.builds(Matcher, st.just("severity"), st.sampled_from(list(MatchOp)), st.just("a|b"))
PARAMS = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text())
DURATIONS = st.integers(0, 10**9).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
STEPS = st.builds(
    StepDef, st.sampled_from(["restart", "verify"]), PARAMS, st.builds(When, st.none() | DURATIONS)
)
RUNBOOKS = st.builds(
    Runbook,
    name=st.text(),
    matchers=st.lists(MATCHERS, max_size=3).map(tuple),
    target=st.text(),
    mode=st.sampled_from(Mode),
    steps=st.lists(STEPS, max_size=4).map(tuple),
    limits=st.builds(Limits, DURATIONS, st.integers(1, 99), st.integers(1, 99)),
    escalation=st.text(),
)


@given(RUNBOOKS)
def test_a_frozen_runbook_is_read_back_equal(runbook: Runbook) -> None:
    assert runbook_from_json(json.loads(json.dumps(runbook_to_json(runbook)))) == runbook


FROZEN_BY_SCHEMA_1 = """
{"schema": 1, "name": "bad-release", "matchers": ["alertname=~\\"A|B\\""], "target": "workload",
 "mode": "act", "escalation": "default",
 "steps": [{"action": "rollback", "params": {"to": "previous"},
            "when": {"rollout_younger_than_seconds": 3600.0}}],
 "limits": {"cooldown_seconds": 900.0, "per_hour": 2, "per_day": 6}}
"""


def test_a_runbook_frozen_by_the_first_release_is_still_read() -> None:
    assert runbook_from_json(json.loads(FROZEN_BY_SCHEMA_1)) == Runbook(
        name="bad-release",
        matchers=(parse_matcher('alertname=~"A|B"'),),
        target="workload",
        mode=Mode.ACT,
        steps=(StepDef("rollback", {"to": "previous"}, When(timedelta(hours=1))),),
        limits=Limits(timedelta(minutes=15), 2, 6),
    )


@pytest.mark.parametrize("schema", [None, 0, 2, "1"])
def test_a_schema_without_a_reader_is_refused(schema: object) -> None:
    frozen = json.loads(FROZEN_BY_SCHEMA_1) | {"schema": schema}
    with pytest.raises(ValueError, match="no reader for a frozen runbook of schema"):
        runbook_from_json(frozen)


def test_a_damaged_frozen_runbook_is_refused() -> None:
    frozen = json.loads(FROZEN_BY_SCHEMA_1) | {"limits": None}
    with pytest.raises(ValueError, match="'limits' is None, not an object"):
        runbook_from_json(frozen)


def _runbook(name: str, *matchers: str) -> Runbook:
    return Runbook(name, tuple(map(parse_matcher, matchers)), "workload", Mode.ACT, ())


POLICY = Policy(
    targets={},
    runbooks=(
        _runbook("errors", 'alertname="Errors"', 'severity="critical"'),
        _runbook("slow", 'alertname="Slow"'),
        _runbook("rest"),
    ),
    escalation={},
    gate=GateConfig(),
)


def test_the_first_runbook_that_matches_wins_and_every_miss_has_its_reason() -> None:
    runbook, tried = match(POLICY, {"alertname": "Slow", "severity": "warning"})
    assert runbook is POLICY.runbooks[1]
    assert [(item.runbook, item.matched, item.reason) for item in tried] == [
        (
            "errors",
            False,
            'alertname is "Slow", wanted "Errors"; severity is "warning", wanted "critical"',
        ),
        ("slow", True, 'matched alertname="Slow"'),
    ]


def test_a_runbook_without_matchers_takes_every_alert() -> None:
    runbook, tried = match(POLICY, {"alertname": "Other"})
    assert runbook is POLICY.runbooks[2]
    assert tried[-1].reason == "matched every alert"


def test_an_alert_that_matches_nothing_still_says_why() -> None:
    policy = Policy({}, POLICY.runbooks[:1], {}, GateConfig())
    runbook, tried = match(policy, {})
    assert runbook is None
    assert [item.matched for item in tried] == [False]
