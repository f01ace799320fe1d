from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.domain.incident import Incident, IncidentStatus, Run, RunStatus, StepRecord
from responder.domain.plan import Outcome, RunResult
from responder.domain.policy import Level, Mode, Runbook, StepDef
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import JsonObject, Target
from responder.web import shown

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
TARGET = Target("Deployment", "default", "web")
BOOK = Runbook(
    "bad-release",
    (),
    "workload",
    Mode.ACT,
    (StepDef("rollback"), StepDef("verify", {"kpi": "error_ratio"}), StepDef("restart")),
)
INCIDENT = Incident(
    id=7,
    cluster="default",
    target=TARGET,
    status=IncidentStatus.OPEN,
    title="Errors",
    severity="critical",
    labels={},
    opened_at=NOW - timedelta(minutes=5),
    runbook=BOOK,
    escalation=(Level(timedelta(0), ("a",)), Level(timedelta(minutes=15), ("b",))),
    told_level=1,
)
RUN = Run(7, 1, BOOK, TARGET, "alert", 1, NOW, RunStatus.RUNNING)
STEP = StepRecord(7, 1, 1, "incident-7:1:1", "rollback", TARGET, effect=True)
HELD: JsonObject = {"verdict": "held", "reason": "a rollout is in progress", "detail": ""}


@pytest.mark.parametrize(
    ("runs", "steps", "said"),
    [
        ([], [], "no automation: people only"),
        ([RUN], [], "bad-release: between two steps"),
        ([RUN], [STEP], "bad-release: planning rollback"),
        ([RUN], [replace(STEP, intent_at=NOW)], "bad-release: rollback since 12:00:00"),
        (
            [RUN],
            [replace(STEP, verdict=HELD)],
            "bad-release: rollback held: a rollout is in progress",
        ),
        ([replace(RUN, status=RunStatus.WAITING)], [], "bad-release: waits"),
        (
            [replace(RUN, status=RunStatus.ENDED, result=RunResult.CANNOT_TELL)],
            [],
            "bad-release: ended cannot tell",
        ),
    ],
)
def test_what_automation_does_is_said_in_words(
    runs: list[Run], steps: list[StepRecord], said: str
) -> None:
    assert shown.doing(runs, steps) == said


def test_a_step_of_another_incident_is_not_taken_for_ours() -> None:
    assert shown.doing([RUN], [replace(STEP, incident_id=8)]) == "bad-release: between two steps"


def test_the_next_deadline_is_the_level_that_is_told_next() -> None:
    card = shown.card(INCIDENT, [], [], NOW)
    assert (card.next_level, card.next_at) == (2, NOW + timedelta(minutes=10))
    told = shown.card(replace(INCIDENT, told_level=2), [], [], NOW)
    assert (told.next_level, told.next_at) == (0, None)


@pytest.mark.parametrize(("severity", "style"), [("warning", "warning"), ("page", "other")])
def test_a_severity_that_the_style_does_not_know_comes_last(severity: str, style: str) -> None:
    card = shown.card(replace(INCIDENT, severity=severity), [], [], NOW)
    assert card.severity == style
    assert shown.SEVERITIES[card.gravity] == style


def test_a_run_shows_what_is_still_ahead_until_it_is_over() -> None:
    done = replace(STEP, outcome=Outcome.DONE)
    assert shown.run(RUN, [done]).ahead == ("verify", "restart")
    assert shown.run(replace(RUN, status=RunStatus.ENDED), [done]).ahead == ()


def test_a_step_shows_plan_verdict_and_state() -> None:
    plan: JsonObject = {"summary": "roll back", "blast": {"pods": 2, "of": 3}, "reversible": True}
    (step,) = shown.run(RUN, [replace(STEP, plan=plan, verdict=HELD)]).steps
    assert (step.plan, step.pods, step.of, step.reversible) == ("roll back", 2, 3, True)
    assert (step.verdict, step.reason, step.state) == ("held", "a rollout is in progress", "held")


def test_every_phase_is_shown_in_the_guides_order() -> None:
    fact = Fact("k", NOW, Phase.RESOLUTION, Kind.INCIDENT_RESOLVED, "Over.")
    found = shown.phases([fact])
    assert [name for name, _ in found] == [phase.value for phase in Phase]
    assert dict(found)["Resolution"] == [fact]


def test_a_chart_shows_as_long_before_as_the_incident_lasted_within_bounds() -> None:
    assert shown.span(INCIDENT, [], NOW) == (NOW - timedelta(minutes=10), NOW)
    long_ago = replace(INCIDENT, opened_at=NOW - timedelta(days=1))
    start, _ = shown.span(long_ago, [], NOW)
    assert start == long_ago.opened_at - timedelta(minutes=30)
    resolved = INCIDENT.opened_at + timedelta(seconds=10)
    start, end = shown.span(replace(INCIDENT, resolved_at=resolved), [], NOW)
    assert start == INCIDENT.opened_at - timedelta(minutes=1)
    assert end == resolved + timedelta(seconds=30)


def test_effects_and_verdicts_are_marked_with_their_outcome() -> None:
    applied = Fact("a", NOW, Phase.MITIGATION, Kind.APPLIED, "x", {"action": "rollback"})
    verified = Fact("v", NOW, Phase.MITIGATION, Kind.VERIFIED, "x", {"outcome": "failed"})
    marks = shown.marks(INCIDENT, [], [applied, verified])
    assert [(mark.label, mark.kind) for mark in marks] == [
        ("rollback", "act"),
        ("verify ✗", "verify"),
    ]


def test_the_kpis_of_an_incident_are_those_that_its_runbooks_verify() -> None:
    assert shown.kpis(INCIDENT, [RUN]) == ["error_ratio"]
    bare = replace(INCIDENT, runbook=None)
    assert shown.kpis(bare, []) == ["error_ratio", "latency_p95"]
    assert shown.kpis(replace(bare, target=Target("Report", "", "x")), []) == []
