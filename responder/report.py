"""The post-incident report: everything that is known of one incident, as Markdown. Pure.

Texts of alerts and logs come from outside: they are shown as text, never as Markdown.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Protocol

from responder.domain.episode import Episode
from responder.domain.incident import Incident, IncidentStatus, Run, StepRecord
from responder.domain.plan import Outcome
from responder.domain.timeline import Fact, Kind, Phase
from responder.domain.values import Json, JsonObject, incident_name

EVIDENCE_SHOWN = 4000
"""Characters of one piece of evidence that the report repeats; the whole stays in the store."""


class EvidenceText(Protocol):
    """A piece of evidence, as the store keeps it."""

    @property
    def step_key(self) -> str:
        """Key of the step that collected it."""
        ...

    @property
    def name(self) -> str:
        """What it is."""
        ...

    @property
    def text(self) -> str:
        """What was found."""
        ...

    @property
    def at(self) -> datetime:
        """When it was collected."""
        ...


def render(
    incident: Incident,
    *,
    episodes: Sequence[Episode],
    runs: Sequence[Run],
    steps: Sequence[StepRecord],
    timeline: Sequence[Fact],
    evidence: Sequence[EvidenceText],
) -> str:
    """Return the report; the same facts give the same text, so that it can be compared."""
    parts = (
        _header(incident),
        _times(incident, episodes, timeline),
        _timeline(incident, timeline),
        _decisions(incident, runs, steps, timeline),
        _kpis(episodes, steps),
        _told(incident, timeline),
        _follow_ups(incident, runs, steps),
        _evidence(evidence),
    )
    return "\n".join(chain.from_iterable(parts))


def _header(incident: Incident) -> Iterator[str]:
    yield f"# {incident_name(incident.id)} {_plain(incident.title)}"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| Severity | {_plain(incident.severity) or 'none given'} |"
    yield f"| Target | {_plain(str(incident.target))} |"
    by = f" by {_plain(incident.resolved_by)}" if incident.resolved_by else ""
    yield f"| Status | {incident.status.value}{by} |"
    runbook = incident.runbook
    named = f"{_plain(runbook.name)} ({runbook.mode.value})" if runbook else "none"
    yield f"| Runbook | {named} |"
    acked = f"{_plain(incident.acked_by)} at {_moment(incident.acked_at)}"
    yield f"| Acknowledged | {acked if incident.acked_at else 'by nobody'} |"
    yield ""


def _times(
    incident: Incident, episodes: Sequence[Episode], timeline: Sequence[Fact]
) -> Iterator[str]:
    fired = min((episode.starts_at for episode in episodes), default=None)
    applied = [fact.at for fact in timeline if fact.kind is Kind.APPLIED]
    verified = _first_verified(timeline, after=applied[0]) if applied else None
    effect = max((at for at in applied if verified and at <= verified), default=None)
    first = applied[0] if applied else None
    yield "## Times (UTC)"
    yield ""
    yield "| | From | To | Took |"
    yield "|---|---|---|---|"
    yield _span("Detect: alert fired → incident opened", fired, incident.opened_at)
    yield _span("Act: incident opened → first effect applied", incident.opened_at, first)
    yield _span("Verify: effect applied → verified by KPI", effect or first, verified)
    yield _span("Resolve: opened → resolved", incident.opened_at, incident.resolved_at)
    yield ""


def _first_verified(timeline: Sequence[Fact], after: datetime) -> datetime | None:
    done = Outcome.DONE.value
    times = (
        fact.at
        for fact in timeline
        if fact.kind is Kind.VERIFIED and fact.facts.get("outcome") == done and fact.at >= after
    )
    return next(times, None)


def _span(name: str, start: datetime | None, end: datetime | None) -> str:
    took = _lasting(end - start) if start and end else "did not happen"
    return f"| {name} | {_moment(start)} | {_moment(end)} | {took} |"


def _timeline(incident: Incident, timeline: Sequence[Fact]) -> Iterator[str]:
    yield "## Timeline"
    yield ""
    for phase in Phase:
        facts = [fact for fact in timeline if fact.phase is phase]
        yield f"### {phase.value}"
        yield ""
        for fact in facts:
            yield f"- {_clock(fact.at, incident)} {_plain(fact.text)}{_by(fact)}"
        if not facts:
            yield "See follow-ups." if phase is Phase.POST_INCIDENT else "Nothing was recorded."
        yield ""


def _by(fact: Fact) -> str:
    known = fact.actor in ("runbookd", "alertmanager", "alert") or fact.actor in fact.text
    return "" if known else f" (by {_plain(fact.actor)})"


def _decisions(
    incident: Incident,
    runs: Sequence[Run],
    steps: Sequence[StepRecord],
    timeline: Sequence[Fact],
) -> Iterator[str]:
    yield "## Decisions"
    yield ""
    by_people = [fact for fact in timeline if fact.kind is Kind.DECISION]
    yield from (f"- {_clock(fact.at, incident)} {_plain(fact.text)}" for fact in by_people)
    if by_people:
        yield ""
    if not runs:
        yield "No run was started."
        yield ""
    for run in runs:
        result = run.result.value if run.result else run.status.value
        why = f": {_plain(run.reason)}" if run.reason else ""
        what = f"{_plain(run.runbook.name)} ({run.runbook.mode.value})"
        by = _plain(run.requested_by)
        yield f"Run {run.number} of runbook {what}, requested by {by}; {result}{why}."
        yield ""
        yield "| Step | Plan | Gate | Outcome |"
        yield "|---|---|---|---|"
        for step in steps:
            if step.run == run.number:
                plan = _plain(_text(step.plan, "summary")) or "-"
                yield f"| {step.step} {step.action} | {plan} | {_gate(step)} | {_outcome(step)} |"
        yield ""


def _gate(step: StepRecord) -> str:
    if not step.effect:
        return "changes nothing"
    if step.verdict is None:
        return "not asked"
    said = (_text(step.verdict, key) for key in ("verdict", "reason", "detail"))
    verdict, *why = (_plain(each) for each in said)
    reason = " ".join(filter(None, why))
    return f"{verdict}: {reason}" if reason else verdict


def _outcome(step: StepRecord) -> str:
    if step.outcome is None:
        return "not ended"
    said = step.outcome.value.replace("_", " ")
    return f"{said}: {_plain(step.detail)}" if step.detail else said


def _kpis(episodes: Sequence[Episode], steps: Sequence[StepRecord]) -> Iterator[str]:
    looks = [step for step in steps if "kpi" in step.facts]
    yield "## KPIs"
    yield ""
    for episode in episodes:
        said = episode.annotations.get("summary", "no summary")
        yield f"- Before: {_plain(episode.alert_name)}: {_plain(said)}"
    if episodes:
        yield ""
    if looks:
        yield "| After step | KPI | Value | Target | Requests | Verified |"
        yield "|---|---|---|---|---|---|"
    for step in looks:
        kpi, comparison = _text(step.facts, "kpi"), _text(step.facts, "comparison")
        value, target, requests = (
            _figure(step.facts.get(key)) for key in ("value", "target", "requests")
        )
        bound = f"{comparison} {target}".strip()
        outcome = step.outcome.value.replace("_", " ") if step.outcome else "not ended"
        row = (str(step.step), kpi, value, bound, requests, outcome)
        yield f"| {' | '.join(map(_plain, row))} |"
    if not looks:
        yield "No KPI was verified."
    yield ""


def _told(incident: Incident, timeline: Sequence[Fact]) -> Iterator[str]:
    told = [fact for fact in timeline if fact.kind in (Kind.ESCALATED, Kind.NOTIFIED)]
    yield "## Who was told"
    yield ""
    for fact in told:
        yield f"- {_clock(fact.at, incident)} {_plain(fact.text)}"
    if not told:
        yield "Nobody was told."
    yield ""


def _follow_ups(
    incident: Incident, runs: Sequence[Run], steps: Sequence[StepRecord]
) -> Iterator[str]:
    found = list(_open_ends(incident, runs))
    for step in steps:
        if step.effect and step.outcome is Outcome.DONE:
            plan = _plain(_text(step.plan, "summary")) or step.action
            found.append(
                f"runbookd did: {plan}. This treats the symptom; what made it necessary is "
                "still to be found and fixed."
            )
        if step.effect and step.outcome in (Outcome.UNKNOWN, Outcome.FAILED):
            found.append(
                f"Step {step.step} {step.action} ended {_outcome(step)}. Check its target."
            )
        if said := _text(step.facts, "follow_up"):
            found.append(_plain(said))
    yield "## Follow-ups"
    yield ""
    yield from (f"- {each}" for each in found)
    if not found:
        yield "Nothing is known that has to follow."
    yield ""


def _open_ends(incident: Incident, runs: Sequence[Run]) -> Iterator[str]:
    if incident.status is IncidentStatus.OPEN:
        yield "The incident is still open."
    if incident.target_problem:
        yield f"No target was found: {_plain(incident.target_problem)}."
    elif incident.runbook is None and not runs:
        yield "No runbook of the policy matches this alert."
    if incident.escalate_now:
        yield f"People were needed: {_plain(incident.escalate_now)}."


def _evidence(evidence: Sequence[EvidenceText]) -> Iterator[str]:
    yield "## Evidence"
    yield ""
    if not evidence:
        yield "None was collected."
        yield ""
    for piece in evidence:
        yield f"### {_plain(piece.name)} ({_moment(piece.at)}, {_plain(piece.step_key)})"
        yield ""
        longest = max((len(run) for run in re.findall(r"`+", piece.text)), default=0)
        fence = "`" * max(3, longest + 1)
        yield fence
        yield _cut(piece.text.rstrip("\n"))
        yield fence
        yield ""


def _cut(text: str) -> str:
    """Leave out the middle of a long text: what it is about is at its start, news at its end."""
    left_out = len(text) - EVIDENCE_SHOWN
    if left_out <= 0:
        return text
    half = EVIDENCE_SHOWN // 2
    return f"{text[:half]}\n[… {left_out} characters are left out here …]\n{text[-half:]}"


def _plain(text: str) -> str:
    """Return text from outside as one line without a meaning in Markdown or HTML."""
    line = " ".join(text.split())
    return re.sub(r"([\\`\[|])", r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;")


def _text(document: JsonObject | None, key: str) -> str:
    value = document.get(key) if document else None
    return value if isinstance(value, str) else ""


def _figure(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "unknown"


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "-"


def _clock(at: datetime, incident: Incident) -> str:
    """Return the time of day, with its date on any day but the one that the incident opened on."""
    return f"{at:%H:%M:%S}" if at.date() == incident.opened_at.date() else _moment(at)


def _lasting(duration: timedelta) -> str:
    seconds = round(duration.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    units = ((hours, "h"), (minutes, "min"), (seconds % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in units if count) or "0 s"
