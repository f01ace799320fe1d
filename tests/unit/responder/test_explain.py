import json
from dataclasses import replace
from datetime import timedelta

from responder.domain.gate import Reason
from responder.domain.matchers import parse_matcher
from responder.domain.plan import Blast, Plan
from responder.domain.policy import (
    GateConfig,
    Level,
    Mode,
    Policy,
    Runbook,
    StepDef,
    TargetRule,
    When,
)
from responder.domain.values import Target
from responder.explain import CLEAR, Decision, simulate

ROLES = {"collect_evidence": "evidence", "rollback": "effect", "verify": "verify"}
POLICY = Policy(
    targets={
        "workload": TargetRule(
            "workload", "$workload_type", "$namespace", "$workload", owner_of_pod=True
        )
    },
    runbooks=(
        Runbook("slow", (parse_matcher('alertname="Slow"'),), "workload", Mode.OBSERVE, ()),
        Runbook(
            "bad-release",
            (parse_matcher('alertname="Errors"'),),
            "workload",
            Mode.ACT,
            (
                StepDef("rollback", {"to": "previous"}, When(timedelta(hours=1))),
                StepDef("verify", {"kpi": "error_ratio"}),
                StepDef("verify"),
            ),
        ),
        Runbook("rest", (parse_matcher('severity!=""'),), "workload", Mode.ACT, ()),
    ),
    escalation={
        "default": (
            Level(timedelta(0), ("oncall-mail",)),
            Level(timedelta(minutes=15), ("senior", "manager")),
        )
    },
    gate=GateConfig(allow=frozenset({"default"})),
)
LABELS = {
    "alertname": "Errors",
    "namespace": "default",
    "workload_type": "deployment",
    "workload": "task-manager",
}

TEXT = """\
Runbooks, in order:
  ✗ slow: alertname is "Errors", wanted "Slow"
  ✓ bad-release: matched alertname="Errors"
  ✗ rest: not tried: bad-release comes first
Runbook: bad-release (act)
Target: deployment/default/task-manager
Steps:
  1. collect_evidence {} [evidence]
  2. rollback {to: previous} [effect], only if the last release is younger than 1h
  3. verify {kpi: error_ratio} [verify]
  4. verify {kpi: error_ratio} [verify]
Gate: allowed
  (if the target exists, is not being changed and was not lately)
Escalation while it is not resolved:
  level 1 after 0s: oncall-mail
  level 2 after 15m: senior, manager"""


def _decide(**labels: str) -> Decision:
    return simulate(POLICY, LABELS | labels, ROLES)


def test_the_whole_decision_in_words() -> None:
    assert "\n".join(_decide().lines()) == TEXT


def test_the_same_decision_as_json() -> None:
    found = json.loads(json.dumps(_decide().to_json()))
    assert found["runbook"] == "bad-release"
    assert [item["matched"] for item in found["matches"]] == [False, True, False]
    assert [step["action"] for step in found["steps"]] == [
        "collect_evidence",
        "rollback",
        "verify",
        "verify",
    ]
    assert found["verdict"] == {"verdict": "allowed", "reason": "", "detail": ""}
    assert found["escalation"][1] == {"after": "15m", "notify": ["senior", "manager"]}


def test_an_alert_without_a_runbook_only_escalates() -> None:
    decision = _decide(alertname="Other")
    assert (decision.runbook, decision.target, decision.steps) == ("", "", ())
    assert [level.notify for level in decision.levels] == [("oncall-mail",), ("senior", "manager")]
    assert "Runbook: none; it only escalates" in decision.lines()


def test_a_target_that_labels_do_not_name_stops_the_runbook_with_its_reason() -> None:
    decision = _decide(workload="../etc")
    assert decision.target_reason == "'../etc' is not a Kubernetes name"
    assert decision.steps == ()
    assert decision.verdict == {}


def test_a_pod_alone_is_said_to_need_its_owner_and_still_judged_by_namespace() -> None:
    labels = {"alertname": "Errors", "namespace": "other", "pod": "x-1"}
    decision = simulate(POLICY, labels, ROLES)
    assert decision.target == ""
    assert decision.target_reason.startswith("the workload that owns pod/other/x-1")
    assert decision.verdict["reason"] == Reason.NAMESPACE_NOT_ALLOWED.value


def test_what_is_known_of_the_cluster_is_judged_instead_of_assumed() -> None:
    decision = simulate(POLICY, LABELS, ROLES, situation=replace(CLEAR, opted_out=True))
    assert decision.verdict["reason"] == Reason.OPTED_OUT.value
    assert not decision.assumed
    plan = Plan(
        "rollback",
        Target("Deployment", "default", "x"),
        "",
        Blast(0, 0),
        reversible=True,
        refusal="y",
    )
    assert simulate(POLICY, LABELS, ROLES, plan=plan).verdict["detail"] == "(y)"


def test_the_runbooks_own_mode_counts() -> None:
    runbooks = (replace(POLICY.runbooks[1], mode=Mode.OBSERVE),)
    decision = simulate(replace(POLICY, runbooks=runbooks), LABELS, ROLES)
    assert decision.verdict["reason"] == Reason.OBSERVE_MODE.value
