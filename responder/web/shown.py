"""What the pages say about incidents: small values made from the store's, for the templates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from responder.domain.episode import Episode
from responder.domain.escalation import next_due
from responder.domain.incident import Incident, IncidentStatus, Run, RunStatus, StepRecord
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import JsonObject, incident_name
from responder.web.chart import Mark
from responder.web.words import spaced

SEVERITIES = ("critical", "warning", "info", "other")
"""Gravest first; `other` stands for every word that rules may use beside."""

UNKNOWN_TARGETS = ("Alert", "Report")
"""Kinds of what an incident without an object is filed under."""

LEAD = (timedelta(minutes=1), timedelta(minutes=30))
"""Least and most of what a chart shows before the incident; between them, as long as it lasted."""


@dataclass(frozen=True, slots=True)
class Card:
    """An incident in a list."""

    incident: Incident
    doing: str
    """What automation does now, in words."""
    next_level: int
    """Level that is told next; 0 when none is left."""
    next_at: datetime | None

    @property
    def name(self) -> str:
        """Return `INC-42`."""
        return incident_name(self.incident.id)

    @property
    def gravity(self) -> int:
        """Return where it stands in a list: 0 comes first."""
        return SEVERITIES.index(self.severity)

    @property
    def severity(self) -> str:
        """Return a severity that the style knows."""
        return self.incident.severity if self.incident.severity in SEVERITIES else "other"

    @property
    def target(self) -> str:
        """Return the object, or empty when the incident is about none."""
        target = self.incident.target
        return "" if target.kind in UNKNOWN_TARGETS else str(target)

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.incident.status is IncidentStatus.OPEN


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step of a run."""

    record: StepRecord
    plan: str
    pods: int
    of: int
    reversible: bool | None
    """None when nothing was planned."""
    verdict: str
    """`allowed`, `held`, `refused`, or empty where the gate was not asked."""
    reason: str
    state: str
    """The outcome, or `running`, `held` or `planning` before there is one."""


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run with its steps, those to come as well."""

    run: Run
    steps: tuple[ShownStep, ...]
    ahead: tuple[str, ...]
    """Actions of the runbook that have not begun; empty once the run is over."""


def card(
    incident: Incident, runs: Iterable[Run], steps: Iterable[StepRecord], now: datetime
) -> Card:
    """Show an incident in a list; `steps` are those that have begun and not ended."""
    wait = next_due(incident, now=now)
    return Card(
        incident,
        doing([run for run in runs if run.incident_id == incident.id], list(steps)),
        0 if wait is None else incident.told_level + 1,
        None if wait is None else now + wait,
    )


def doing(runs: Sequence[Run], unfinished: Sequence[StepRecord]) -> str:
    """Say what the runs of one incident do now."""
    if not runs:
        return "no automation: people only"
    live = [run for run in runs if run.status is not RunStatus.ENDED]
    running = [run for run in live if run.status is RunStatus.RUNNING]
    if running:
        run = running[0]
        current = [
            step
            for step in unfinished
            if (step.incident_id, step.run) == (run.incident_id, run.number)
        ]
        return f"{run.runbook.name}: {_stage(current[-1]) if current else 'between two steps'}"
    if live:
        run = live[0]
        at = f" until {run.not_before:%H:%M:%S}" if run.not_before else ""
        return f"{run.runbook.name}: waits{at}"
    last = runs[-1]
    return f"{last.runbook.name}: ended {spaced(last.result or '')}"


def _stage(step: StepRecord) -> str:
    verdict, reason = _verdict(step)
    if step.intent_at:
        return f"{step.action} since {step.intent_at:%H:%M:%S}"
    return f"{step.action} held: {reason}" if verdict == "held" else f"planning {step.action}"


def _verdict(step: StepRecord) -> tuple[str, str]:
    if step.verdict is None or not step.effect:
        return "", ""
    said = (str(step.verdict.get(name, "")) for name in ("verdict", "reason", "detail"))
    verdict, *why = said
    return verdict, " ".join(filter(None, why))


def run(one: Run, records: Iterable[StepRecord]) -> ShownRun:
    """Show a run."""
    mine = [step for step in records if step.run == one.number]
    begun = max((step.step for step in mine), default=one.first_step - 1)
    left = one.runbook.steps[begun - one.first_step + 1 :]
    is_over = one.status is RunStatus.ENDED
    return ShownRun(
        one,
        tuple(_step(step) for step in mine),
        () if is_over else tuple(step.action for step in left),
    )


def _step(record: StepRecord) -> ShownStep:
    verdict, reason = _verdict(record)
    plan: JsonObject = record.plan or {}
    blast = plan.get("blast")
    counts = blast if isinstance(blast, dict) else {}
    reversible = plan.get("reversible")
    if record.outcome is not None:
        state = record.outcome.value
    elif record.intent_at:
        state = "running"
    else:
        state = "held" if verdict == "held" else "planning"
    return ShownStep(
        record,
        str(plan.get("summary", "")),
        int(str(counts.get("pods", 0))),
        int(str(counts.get("of", 0))),
        bool(reversible) if record.effect and record.plan else None,
        verdict,
        reason,
        state,
    )


def phases(timeline: Iterable[Fact]) -> list[tuple[str, list[Fact]]]:
    """Sort facts under the guide's six phases; a phase without any is shown empty."""
    facts = list(timeline)
    return [(phase.value, [fact for fact in facts if fact.phase is phase]) for phase in Phase]


def span(
    incident: Incident, episodes: Iterable[Episode], now: datetime
) -> tuple[datetime, datetime]:
    """Return what a chart of the incident shows: as long before it as it lasted, a while after."""
    began = min([incident.opened_at, *(episode.starts_at for episode in episodes)])
    ended = incident.resolved_at or now
    least, most = LEAD
    lead = min(max(ended - began, least), most)
    return began - lead, min(now, ended + lead / 2)


def marks(incident: Incident, episodes: Iterable[Episode], timeline: Iterable[Fact]) -> list[Mark]:
    """Return what a chart marks: the alerts, each effect, each verdict on it, the end."""
    found = [
        Mark(episode.starts_at, "reported" if episode.is_reported else "alert", "alert")
        for episode in episodes
    ]
    for fact in timeline:
        if fact.kind is Kind.APPLIED:
            found.append(Mark(fact.at, str(fact.facts.get("action", "act")), "act"))
        if fact.kind is Kind.VERIFIED:
            is_cured = fact.facts.get("outcome") == "done"
            found.append(Mark(fact.at, f"verify {'✓' if is_cured else '✗'}", "verify"))
    if incident.resolved_at:
        found.append(Mark(incident.resolved_at, "resolved", "resolve"))
    return found


def kpis(incident: Incident, runs: Iterable[Run]) -> list[str]:
    """Return the KPIs that the incident's runbooks verify; where none does, what users feel."""
    books = [incident.runbook] if incident.runbook else []
    books += [one.runbook for one in runs]
    named = [
        str(step.params["kpi"]) for book in books for step in book.steps if "kpi" in step.params
    ]
    about_a_workload = incident.target.kind in ("Deployment", "StatefulSet", "DaemonSet")
    usual = ["error_ratio", "latency_p95"] if about_a_workload else []
    return list(dict.fromkeys(named)) or usual
