"""One file for each way in which a policy can be wrong, with the exact line that it gets."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.shared.config import Section
from responder.contract import ActionSpec
from responder.policies.load import lint

DATA = Path(__file__).parents[3] / "data" / "policies"

REJECTIONS: dict[str, str] = {
    "bad-condition": (
        "11:26: runbooks[0].steps[0].restart.when.rollout_younger is not a condition; "
        'did you mean "rollout_younger_than"?'
    ),
    "bad-duration": (
        "12:24: runbooks[0].limits.cooldown: '15 minutes' is not a duration; write it "
        "as 90s, 5m or 1h30m"
    ),
    "bad-matcher": (
        '9:13: "KpiErrorRatioHigh|(" is not a regular expression: missing ), '
        "unterminated subpattern at position 18"
    ),
    "bare-first-verify": (
        "12:9: the first verify of a runbook says what to look at; only later ones inherit"
    ),
    "duplicate-name": (
        '13:11: runbook "errors" is there twice, first at invalid-duplicate-name.yaml:8'
    ),
    "gate": (
        "6:30: gate.budget.cluster_per_hour should be greater than or equal to 0\n7:3: "
        "gate.freeze is not a policy key; known here: budget, hold, namespaces"
    ),
    "levels": "5:15: a level must come later than the one before it",
    "long-cooldown": ("12:24: runbooks[0].limits.cooldown should be less than or equal to 1 day"),
    "missing-parameter": "11:17: runbooks[0].steps[0].verify.kpi is missing",
    "no-default-escalation": (
        "3:3: escalation.default is missing: nobody would hear of alerts without a runbook"
    ),
    "no-steps": "10:12: a runbook has at least one step",
    "not-a-matcher": (
        '9:13: \'severity is critical\' is not a matcher; write it as label="value" or label=~"a|b"'
    ),
    "target-kind": (
        '3:20: "statefullset" is not a kind that runbooks can be about; did you mean "statefulset"?'
    ),
    "target-name": "3:53: 'web-$tier' mixes text and a label; write $label alone",
    "target-namespace": "3:8: the namespace is missing",
    "two-actions-in-a-step": "11:9: a step is one action with its parameters: `restart: {}`",
    "unknown-action": '11:9: "restrt" is not an action; did you mean "restart"?',
    "unknown-escalation": '10:17: "night" is not one of the escalations; known here: default',
    "unknown-key": (
        "10:5: runbooks[0].approve is not a policy key; known here: escalation, "
        "limits, match, mode, name, steps, target"
    ),
    "unknown-mode": (
        '10:11: runbooks[0].mode: "acting" is not one of observe, act; did you mean "act"?'
    ),
    "unknown-parameter": (
        "11:19: runbooks[0].steps[0].restart.graceful is not a parameter; nothing may stand here"
    ),
    "unknown-receiver-of-a-step": (
        '11:28: "oncall-mial" is not a receiver of the settings; did you mean "oncall-mail"?'
    ),
    "unknown-receiver": (
        '4:41: "oncal-mail" is not a receiver of the settings; did you mean "oncall-mail"?'
    ),
    "unknown-section": (
        "7:1: schedules is not a policy key; known here: escalation, gate, runbooks, "
        "targets, version"
    ),
    "unknown-target": '9:13: "workloads" is not one of the targets; did you mean "workload"?',
    "unreachable": (
        '14:12: runbook "latency" is never reached: every alert that it matches is '
        'taken by "errors" at invalid-unreachable.yaml:8'
    ),
    "version": "1:10: version: 2 is not a version that this release reads; write 1",
    "wrong-parameter": (
        "12:44: runbooks[0].steps[1].verify.settle: 'soon' is not a duration; write "
        "it as 90s, 5m or 1h30m"
    ),
    "wrong-type": (
        "12:24: runbooks[0].limits.per_hour should be a valid integer, unable to "
        "parse string as an integer"
    ),
}


def test_every_invalid_file_has_its_line() -> None:
    assert {file.stem.removeprefix("invalid-") for file in DATA.glob("invalid-*")} == set(
        REJECTIONS
    )


@pytest.mark.parametrize("name", sorted(REJECTIONS))
def test_each_mistake_gets_one_clear_line(
    name: str, actions: Mapping[str, ActionSpec[Section]]
) -> None:
    file = DATA / f"invalid-{name}.yaml"
    problems = lint(file, actions, {"oncall-mail", "oncall-pager"})
    lines = [str(problem).removeprefix(f"{file}:") for problem in problems]
    assert "\n".join(lines).replace(f"{DATA}/", "") == REJECTIONS[name]
