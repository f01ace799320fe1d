from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.shared.config import ConfigError, Section
from responder.contract import ActionSpec
from responder.domain.matchers import parse_matcher
from responder.domain.policy import (
    GateConfig,
    Level,
    Limits,
    Mode,
    Policy,
    Runbook,
    StepDef,
    TargetRule,
    When,
)
from responder.policies.alerts import lint_alerts
from responder.policies.load import lint, load

Actions = Mapping[str, ActionSpec[Section]]

DATA = Path(__file__).parents[3] / "data" / "policies"

MINIMAL = "version: 1\nescalation: {default: [{after: 0m, notify: [oncall-mail]}]}\n"
RUNBOOK = "version: 1\ntargets: {db: {kind: Pod, namespace: a, name: b}}\nrunbooks:\n"


def test_a_file_becomes_the_policy_that_it_says(actions: Actions) -> None:
    verify = StepDef("verify", {"kpi": "error_ratio", "settle": "30s"})
    assert load(DATA / "valid.yaml", actions, {"oncall-mail", "oncall-pager"}) == Policy(
        targets={
            "workload": TargetRule(
                "workload", "$workload_type", "$namespace", "$workload", owner_of_pod=True
            ),
            "database": TargetRule("database", "StatefulSet", "default", "postgres"),
            "node": TargetRule("node", "Node", "", "$node"),
        },
        runbooks=(
            Runbook(
                name="bad-release",
                matchers=(
                    parse_matcher('alertname=~"KpiErrorRatioHigh|KpiLatencyHigh"'),
                    parse_matcher('severity="critical"'),
                    parse_matcher('namespace!="dev"'),
                ),
                target="workload",
                mode=Mode.ACT,
                steps=(
                    StepDef("restart", {}, When(timedelta(hours=1))),
                    verify,
                    StepDef("restart"),
                    StepDef("verify"),
                    StepDef("tell", {"receivers": ["oncall-mail"]}),
                ),
                limits=Limits(timedelta(minutes=10), per_hour=2, per_day=6),
            ),
            Runbook(
                name="rest",
                matchers=(),
                target="database",
                mode=Mode.OBSERVE,
                steps=(StepDef("tell", {"receivers": ["oncall-mail"]}),),
                escalation="night",
            ),
        ),
        escalation={
            "default": (
                Level(timedelta(0), ("oncall-mail",)),
                Level(timedelta(minutes=15), ("oncall-pager",)),
            ),
            "night": (Level(timedelta(hours=1), ("oncall-pager",)),),
        },
        gate=GateConfig(
            allow=frozenset({"default"}),
            deny=frozenset({"kube-system"}),
            cluster_per_hour=12,
            hold=timedelta(minutes=5),
        ),
    )


def test_without_a_gate_nothing_may_be_touched(tmp_path: Path, actions: Actions) -> None:
    (tmp_path / "a.yaml").write_text(MINIMAL)
    assert load(tmp_path, actions).gate.allow == frozenset()


def test_the_files_of_a_folder_are_merged_in_the_order_of_their_names(
    tmp_path: Path, actions: Actions
) -> None:
    (tmp_path / "20.yaml").write_text(
        MINIMAL + "runbooks: [{name: b, target: db, steps: [restart: {}]}]"
    )
    one = "  - {name: a, match: ['x=\"y\"'], target: db, steps: [restart: {}]}\n"
    (tmp_path / "10.yml").write_text(RUNBOOK + one)
    (tmp_path / "notes.txt").write_text("not a policy")
    assert [runbook.name for runbook in load(tmp_path, actions).runbooks] == ["a", "b"]


def test_a_section_in_two_files_is_refused_with_both_places(
    tmp_path: Path, actions: Actions
) -> None:
    (tmp_path / "a.yaml").write_text(MINIMAL + "gate: {hold: 5m}\n")
    (tmp_path / "b.yaml").write_text("version: 1\n\ngate: {hold: 9m}\n")
    assert [str(problem) for problem in lint(tmp_path, actions)] == [
        (
            f"{tmp_path}/b.yaml:3:1: gate may stand in one file only and stands at "
            f"{tmp_path}/a.yaml:3 too"
        )
    ]


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path, actions: Actions) -> None:
    (tmp_path / "a.yaml").write_text("version: one\n")
    (tmp_path / "b.yaml").write_text(MINIMAL + "gate: {hold: soon}\nbudget: 3\n")
    places = [(Path(problem.file).name, problem.line) for problem in lint(tmp_path, actions)]
    assert places == [("a.yaml", 1), ("b.yaml", 3), ("b.yaml", 4)]


def test_a_path_without_a_policy_is_refused(tmp_path: Path, actions: Actions) -> None:
    with pytest.raises(ConfigError, match="holds no policy"):
        load(tmp_path, actions)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "gone.yaml", actions)


def test_only_what_is_surely_taken_before_is_called_unreachable(
    tmp_path: Path, actions: Actions
) -> None:
    matchers = {"a": 'x=~"b.*"', "b": 'x=~"b|c"', "c": 'x="c"', "d": 'x=~"b|c"'}
    rows = "".join(
        f"  - {{name: {name}, match: ['{text}'], target: db, steps: [restart: {{}}]}}\n"
        for name, text in matchers.items()
    )
    (tmp_path / "a.yaml").write_text(RUNBOOK + rows)
    (tmp_path / "b.yaml").write_text(MINIMAL)
    taken = f'is never reached: every alert that it matches is taken by "b" at {tmp_path}/a.yaml:5'
    assert [problem.message for problem in lint(tmp_path, actions)] == [
        f'runbook "c" {taken}',
        f'runbook "d" {taken}',
    ]


RULES = """
groups:
  - name: kpi
    rules:
      - {record: "a:b:c", expr: "1"}
      - {alert: KpiErrorRatioHigh, expr: "1", labels: {severity: warning, team: "{{ $labels.x }}"}}
"""


@pytest.mark.parametrize(
    ("matchers", "found"),
    [
        ('alertname="KpiErrorRatioHigh"', []),
        ('alertname="KpiErrorRatioHigh",team="a",namespace="default"', []),
        ('alertname="KpiErrorRatioHihg"', [5]),
        ('alertname="KpiErrorRatioHigh",severity="critical"', [5]),
    ],
)
def test_a_runbook_that_no_alert_can_match_is_found(
    tmp_path: Path, matchers: str, found: list[int]
) -> None:
    policy, rules = tmp_path / "policy.yaml", tmp_path / "rules"
    policy.write_text(
        f"{RUNBOOK}  - name: a\n    match: ['{matchers}']\n    target: db\n    steps: []\n"
    )
    rules.mkdir()
    (rules / "kpi.yaml").write_text(RULES)
    problems = lint_alerts(policy, rules)
    assert [problem.line for problem in problems] == found
    assert all("no alert of" in problem.message for problem in problems)
