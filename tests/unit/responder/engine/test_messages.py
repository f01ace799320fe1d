from dataclasses import replace
from datetime import UTC, datetime, timedelta

from responder.domain.escalation import Due
from responder.domain.incident import Incident, IncidentStatus
from responder.domain.values import Target
from responder.engine import messages

OPENED = datetime(2026, 8, 1, 12, 0, 0, 250_000, tzinfo=UTC)
INCIDENT = Incident(
    id=7,
    cluster="default",
    target=Target("Deployment", "default", "web"),
    status=IncidentStatus.OPEN,
    title="Errors",
    severity="warning",
    labels={},
    opened_at=OPENED,
    runbook=None,
    escalation=(),
)
DUE = Due(1, ("oncall",), "the incident opened")


def test_a_page_is_the_same_on_every_retry_and_another_when_it_opened_anew() -> None:
    first = messages.page(INCIDENT, DUE, "")
    assert messages.page(INCIDENT, DUE, "").key == first.key
    graver = replace(INCIDENT, opened_at=OPENED + timedelta(milliseconds=300), severity="critical")
    assert messages.page(graver, DUE, "").key != first.key


def test_a_message_leads_to_the_page_of_its_incident() -> None:
    assert messages.link_to("https://ops.example/", 7) == "https://ops.example/incidents/INC-7"
