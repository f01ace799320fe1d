"""What the API answers: the domain's values as JSON, timestamps in RFC 3339 (UTC)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from responder.domain.episode import Episode
from responder.domain.incident import Incident, Run, StepRecord
from responder.domain.timeline import Fact
from responder.domain.values import incident_name
from responder.engine.preview import PreviewedStep
from responder.store.sessions import Session
from responder.store.switches import Switch

Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
"""A few words of a person."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
"""A person's note."""

SEVERITIES = ("critical", "warning", "info")


class View(BaseModel):
    """The base of every answer and request; requests refuse unknown fields."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ErrorView(View):
    """Why a request was refused."""

    error: str


class IncidentView(View):
    """An incident in a list."""

    id: int
    name: str
    """As people write it: `INC-42`."""
    target: str
    status: str
    title: str
    severity: str
    opened_at: datetime
    resolved_at: datetime | None
    acked_by: str
    held_by: str
    """Who holds it: what an alert started waits before its next effect. Empty: nobody."""
    held_at: datetime | None
    told_level: int
    """Highest escalation level told so far."""
    runbook: str
    """Name of the frozen runbook, or empty when the incident only escalates."""

    @classmethod
    def of(cls, incident: Incident) -> "IncidentView":
        """Show an incident."""
        return cls(**_incident_fields(incident))


class EpisodeView(View):
    """One continuous firing of one alert."""

    alert: str
    fingerprint: str
    labels: dict[str, str]
    starts_at: str
    """As Alertmanager wrote it."""
    ended_at: datetime | None


class StepView(View):
    """One step of a run as far as it got."""

    step: int
    key: str
    action: str
    params: dict[str, JsonValue]
    plan: str
    verdict: str
    outcome: str
    detail: str
    intent_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, record: StepRecord) -> "StepView":
        """Show a step."""
        return cls(
            step=record.step,
            key=record.key,
            action=record.action,
            params=dict(record.params),
            plan=str((record.plan or {}).get("summary", "")),
            verdict=str((record.verdict or {}).get("verdict", "")),
            outcome=record.outcome.value if record.outcome else "",
            detail=record.detail,
            intent_at=record.intent_at,
            ended_at=record.ended_at,
        )


class RunView(View):
    """One execution of a runbook or of a single action."""

    incident: int
    number: int
    runbook: str
    mode: str
    target: str
    requested_by: str
    status: str
    result: str
    reason: str
    steps: list[StepView] = Field(default_factory=list)

    @classmethod
    def of(cls, run: Run, records: list[StepRecord]) -> "RunView":
        """Show a run with its steps."""
        return cls(
            incident=run.incident_id,
            number=run.number,
            runbook=run.runbook.name,
            mode=run.runbook.mode.value,
            target=str(run.target),
            requested_by=run.requested_by,
            status=run.status.value,
            result=run.result.value if run.result else "",
            reason=run.reason,
            steps=[StepView.of(record) for record in records if record.run == run.number],
        )


class FactView(View):
    """One line of the timeline."""

    at: datetime
    phase: str
    kind: str
    text: str
    actor: str
    facts: dict[str, JsonValue]

    @classmethod
    def of(cls, fact: Fact) -> "FactView":
        """Show a fact."""
        return cls(
            at=fact.at,
            phase=fact.phase.value,
            kind=fact.kind.value,
            text=fact.text,
            actor=fact.actor,
            facts=dict(fact.facts),
        )


class IncidentDetail(IncidentView):
    """An incident with all that is known about it."""

    labels: dict[str, str]
    target_problem: str
    episodes: list[EpisodeView]
    runs: list[RunView]
    timeline: list[FactView]

    @classmethod
    def whole(
        cls,
        incident: Incident,
        episodes: list[Episode],
        runs: list[Run],
        steps: list[StepRecord],
        timeline: list[Fact],
    ) -> "IncidentDetail":
        """Show an incident whole."""
        return cls(
            **_incident_fields(incident),
            labels=dict(incident.labels),
            target_problem=incident.target_problem,
            episodes=[
                EpisodeView(
                    alert=episode.alert_name,
                    fingerprint=episode.fingerprint,
                    labels=dict(episode.labels),
                    starts_at=episode.starts_at_text,
                    ended_at=episode.ended_at,
                )
                for episode in episodes
            ],
            runs=[RunView.of(run, steps) for run in runs],
            timeline=[FactView.of(fact) for fact in timeline],
        )


class RunRequest(View):
    """What a person wants run: a runbook of the policy, or one action."""

    target: str
    """`kind/namespace/name`, e.g. `deployment/default/task-manager`."""
    runbook: str = ""
    action: str = ""
    params: dict[str, JsonValue] = Field(default_factory=dict)
    """Parameters of the action; a runbook has its own."""
    plan: bool = False
    """Only say what would be done."""


class PreviewView(View):
    """What a run would do now."""

    target: str
    steps: list[PreviewedStep]


class ResolveRequest(View):
    """A person's word that an incident is over."""

    why: Words = "a person said so"


class OpenRequest(View):
    """What a person says is wrong: an incident with the same life as an alert's."""

    title: Annotated[Line, Field(min_length=1)]
    severity: Literal["critical", "warning", "info"] = "warning"
    target: str = ""
    """`kind/namespace/name`. Left out: the incident only escalates."""
    note: Words = ""


class HoldRequest(View):
    """Stop automation before its next effect."""

    why: Words = ""


class DecisionRequest(View):
    """A person's decision, for the timeline and the report."""

    what: Annotated[Words, Field(min_length=1)]
    why: Words = ""


class SessionView(View):
    """One login at the console."""

    id: str
    name: str
    """Of the token that it was opened with."""
    began_at: datetime
    ends_at: datetime

    @classmethod
    def of(cls, session: Session) -> "SessionView":
        """Show a session."""
        return cls(
            id=session.id,
            name=session.name,
            began_at=session.began_at,
            ends_at=session.ends_at,
        )


class KillSwitchView(View):
    """While it is on, the gate refuses every effect."""

    on: bool
    by: str = ""
    at: datetime | None = None
    reason: str = ""

    @classmethod
    def of(cls, switch: Switch | None) -> "KillSwitchView":
        """Show the switch; one that was never turned is off."""
        if switch is None:
            return cls(on=False)
        return cls(on=switch.on, by=switch.by, at=switch.at, reason=switch.reason)


class KillSwitchRequest(View):
    """Turn the kill switch on or off."""

    on: bool
    reason: Words = ""
    """For the timeline of every open incident."""


def _incident_fields(incident: Incident) -> dict[str, object]:
    return {
        "id": incident.id,
        "name": incident_name(incident.id),
        "target": str(incident.target),
        "status": incident.status.value,
        "title": incident.title,
        "severity": incident.severity,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "acked_by": incident.acked_by,
        "held_by": incident.held_by,
        "held_at": incident.held_at,
        "told_level": incident.told_level,
        "runbook": incident.runbook.name if incident.runbook else "",
    }
