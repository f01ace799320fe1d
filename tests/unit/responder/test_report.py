"""The report of a bad release, as a whole, and what must hold for any report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from responder.domain.episode import Episode
from responder.domain.incident import Incident, IncidentStatus, Run, RunStatus, StepRecord
from responder.domain.plan import Outcome, RunResult
from responder.domain.policy import Mode, Runbook
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import Target
from responder.report import EVIDENCE_SHOWN, render

GOLDEN = Path(__file__).parents[2] / "data" / "reports" / "bad-release.md"

OPENED = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
TARGET = Target("Deployment", "default", "task-manager")
RUNBOOK = Runbook("bad-release", (), "workload", Mode.ACT, ())


def _at(seconds: float) -> datetime:
    return OPENED + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Piece:
    step_key: str
    name: str
    text: str
    at: datetime


INCIDENT = Incident(
    id=42,
    cluster="default",
    target=TARGET,
    status=IncidentStatus.RESOLVED,
    title="KpiErrorRatioHigh on deployment/default/task-manager",
    severity="critical",
    labels={},
    opened_at=OPENED,
    runbook=RUNBOOK,
    escalation=(),
    resolved_at=_at(245),
    resolved_by="runbookd",
    acked_at=_at(40),
    acked_by="ada",
)
EPISODE = Episode(
    id=1,
    cluster="default",
    fingerprint="a1",
    incident_id=42,
    alert_name="KpiErrorRatioHigh",
    labels={},
    annotations={"summary": "20.4% of the requests to default/task-manager fail"},
    starts_at=_at(-31),
    starts_at_text="2026-08-01T11:59:29.000000001Z",
    last_seen_at=_at(0),
    ended_at=_at(240),
)
RUN = Run(
    incident_id=42,
    number=1,
    runbook=RUNBOOK,
    target=TARGET,
    requested_by="alert",
    first_step=1,
    created_at=_at(0),
    status=RunStatus.ENDED,
    result=RunResult.CURED,
    reason="verify: error_ratio: 0.001 is below 0.01 over 412 requests",
    started_at=_at(1),
    ended_at=_at(200),
)
PLAN = "roll default/task-manager back from v4-errors to v3 (revision 1)"


def _step(number: int, action: str, outcome: Outcome, detail: str) -> StepRecord:
    return StepRecord(
        incident_id=42,
        run=1,
        step=number,
        key=f"incident-42:{number}:1",
        action=action,
        target=TARGET,
        outcome=outcome,
        detail=detail,
    )


STEPS = (
    replace(
        _step(1, "collect_evidence", Outcome.DONE, "evidence is attached"),
        plan={"summary": "collect evidence about deployment/default/task-manager"},
    ),
    replace(
        _step(
            2, "scale", Outcome.SKIPPED, "the last release is 2h old, wanted one younger than 1h"
        ),
        effect=True,
    ),
    replace(
        _step(3, "rollback", Outcome.DONE, "every pod runs v3"),
        effect=True,
        plan={"summary": PLAN},
        verdict={"verdict": "allowed", "reason": "", "detail": ""},
        facts={"follow_up": "Helm still holds task-manager:v4-errors: bring its values in line."},
    ),
    replace(
        _step(4, "verify", Outcome.DONE, "error_ratio: 0.001 is below 0.01 over 412 requests"),
        facts={
            "kpi": "error_ratio",
            "comparison": "below",
            "value": 0.001,
            "target": 0.01,
            "requests": 412.0,
        },
    ),
)


def _fact(seconds: float, phase: Phase, kind: Kind, text: str) -> Fact:
    return Fact(key=text, at=_at(seconds), phase=phase, kind=kind, text=text)


TIMELINE = (
    _fact(0, Phase.DETECTION, Kind.INCIDENT_OPENED, "Incident opened; runbook: bad-release."),
    _fact(0, Phase.DETECTION, Kind.ESCALATED, "Level 1 told (oncall-mail): the incident opened."),
    _fact(1, Phase.INVESTIGATION, Kind.NOTIFIED, "oncall-mail got the page (level 1)."),
    _fact(5, Phase.ASSESSMENT, Kind.PLANNED, f"Plan: {PLAN} (2 of 2 pods, reversible)."),
    _fact(5, Phase.ASSESSMENT, Kind.VERDICT, "Gate: rollback allowed."),
    _fact(6, Phase.MITIGATION, Kind.APPLIED, f"Applied: {PLAN}."),
    replace(_fact(40, Phase.ASSESSMENT, Kind.INCIDENT_ACKED, "Taken over by phone."), actor="ada"),
    replace(
        _fact(200, Phase.MITIGATION, Kind.VERIFIED, "verify: done, error_ratio is below 0.01."),
        facts={"outcome": "done"},
    ),
    _fact(245, Phase.RESOLUTION, Kind.INCIDENT_RESOLVED, "Resolved by runbookd."),
)
EVIDENCE = (Piece("incident-42:1:1", "pods not healthy", "all 2 pods are healthy\n", _at(2)),)


def _report(
    incident: Incident = INCIDENT,
    runs: Sequence[Run] = (RUN,),
    steps: Sequence[StepRecord] = STEPS,
    timeline: Sequence[Fact] = TIMELINE,
    evidence: Sequence[Piece] = EVIDENCE,
) -> str:
    return render(
        incident,
        episodes=[EPISODE],
        runs=runs,
        steps=steps,
        timeline=timeline,
        evidence=evidence,
    )


def test_the_report_of_a_bad_release() -> None:
    assert _report() == GOLDEN.read_text(encoding="utf-8")


def test_text_from_outside_is_never_markdown() -> None:
    text = "<script>x</script> [click](http://evil)\n# Heading | `code`"
    report = _report(timeline=[_fact(0, Phase.DETECTION, Kind.ALERT_FIRING, text)])
    line = r"&lt;script>x&lt;/script> \[click](http://evil) # Heading \| \`code\`"
    assert f"- 12:00:00 {line}\n" in report


def test_evidence_cannot_end_its_own_fence() -> None:
    report = _report(evidence=[Piece("k", "logs", "```\n# not a heading\n```", _at(0))])
    assert "````\n```\n# not a heading\n```\n````" in report


def test_long_evidence_is_cut_in_the_middle_and_says_so() -> None:
    text = "start" + "x" * EVIDENCE_SHOWN + "end"
    report = _report(evidence=[Piece("k", "logs", text, _at(0))])
    assert "\nstart" in report
    assert "[… 8 characters are left out here …]" in report
    assert "xend\n```" in report


def test_what_did_not_happen_is_said() -> None:
    bare = replace(
        INCIDENT,
        status=IncidentStatus.OPEN,
        runbook=None,
        target_problem="the alert has no label workload",
        resolved_at=None,
        resolved_by="",
        acked_at=None,
        acked_by="",
        escalate_now="run 1 ended failed",
    )
    report = _report(bare, runs=(), steps=(), timeline=(), evidence=())
    for line in (
        "| Acknowledged | by nobody |",
        "| Resolve: opened → resolved | 2026-08-01 12:00:00 | - | did not happen |",
        "Nothing was recorded.",
        "No run was started.",
        "No KPI was verified.",
        "Nobody was told.",
        "None was collected.",
        "- The incident is still open.",
        "- No target was found: the alert has no label workload.",
        "- People were needed: run 1 ended failed.",
    ):
        assert f"\n{line}\n" in report


def test_what_people_decided_stands_with_the_decisions() -> None:
    text = "ada decided: wait for the vendor, because a restart loses the queue."
    report = _report(timeline=[_fact(90, Phase.INVESTIGATION, Kind.DECISION, text)])
    _, decisions = report.split("## Decisions")
    assert f"- 12:01:30 {text}" in decisions.split("## KPIs")[0]


def test_a_time_of_another_day_carries_its_date() -> None:
    report = _report(timeline=[_fact(86_400, Phase.RESOLUTION, Kind.INCIDENT_RESOLVED, "Over.")])
    assert "- 2026-08-02 12:00:00 Over." in report


def test_a_verification_before_the_first_effect_is_not_taken_for_its_cure() -> None:
    early = replace(
        _fact(3, Phase.MITIGATION, Kind.VERIFIED, "verify: done."), facts={"outcome": "done"}
    )
    applied = _fact(6, Phase.MITIGATION, Kind.APPLIED, "Applied.")
    report = _report(timeline=[early, applied])
    assert "| Verify: effect applied → verified by KPI | 2026-08-01 12:00:06 | - |" in report
