from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from responder.domain.escalation import due, next_due
from responder.domain.incident import Incident, IncidentStatus
from responder.domain.policy import Level
from responder.domain.values import Target

OPENED = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
INCIDENT = Incident(
    id=42,
    cluster="default",
    target=Target("Deployment", "default", "web"),
    status=IncidentStatus.OPEN,
    title="KpiErrorRatioHigh",
    severity="critical",
    labels={},
    opened_at=OPENED,
    runbook=None,
    escalation=(
        Level(timedelta(0), ("oncall",)),
        Level(timedelta(minutes=15), ("senior",)),
        Level(timedelta(minutes=60), ("manager",)),
    ),
)


def _told(incident: Incident, minutes: float) -> list[tuple[int, str]]:
    now = OPENED + timedelta(minutes=minutes)
    return [(item.level, item.reason) for item in due(incident, now=now)]


def test_levels_follow_the_duration_of_the_incident() -> None:
    assert _told(INCIDENT, 0) == [(1, "the incident opened")]
    assert _told(replace(INCIDENT, told_level=1), 14.9) == []
    assert _told(replace(INCIDENT, told_level=1), 15) == [(2, "open for 15 minutes")]
    assert _told(replace(INCIDENT, told_level=2), 61) == [(3, "open for 60 minutes")]


def test_what_fell_due_during_an_outage_is_told_once_each_lowest_first() -> None:
    assert [level for level, _ in _told(INCIDENT, 90)] == [1, 2, 3]


def test_an_ack_does_not_keep_the_next_levels_from_being_told() -> None:
    acked = replace(INCIDENT, told_level=1, acked_at=OPENED, acked_by="ada")
    assert [level for level, _ in _told(acked, 15)] == [2]


@pytest.mark.parametrize("status", [IncidentStatus.RESOLVED, IncidentStatus.CLOSED])
def test_an_incident_that_is_over_tells_nobody(status: IncidentStatus) -> None:
    over = replace(INCIDENT, status=status)
    assert _told(over, 90) == []
    assert next_due(over, now=OPENED) is None


def test_a_failed_run_tells_a_later_level_1_at_once_with_its_reason() -> None:
    later = replace(INCIDENT, escalation=(Level(timedelta(minutes=5), ("oncall",)),))
    assert _told(later, 1) == []
    failed = replace(later, escalate_now="run 1 ended failed")
    assert _told(failed, 1) == [(1, "run 1 ended failed")]
    assert next_due(failed, now=OPENED + timedelta(minutes=1)) == timedelta(0)


def test_the_next_level_is_due_after_the_rest_of_its_time() -> None:
    told = replace(INCIDENT, told_level=1)
    assert next_due(told, now=OPENED + timedelta(minutes=5)) == timedelta(minutes=10)
    assert next_due(replace(INCIDENT, told_level=3), now=OPENED) is None


def test_short_levels_are_worded_in_seconds() -> None:
    short = replace(INCIDENT, escalation=(Level(timedelta(seconds=6), ("oncall",)),))
    assert _told(short, 1) == [(1, "open for 6 s")]
