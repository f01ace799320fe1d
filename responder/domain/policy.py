"""Policies as values: what may be done, to what, when, and who is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from responder.domain import documents
from responder.domain.matchers import Matcher, parse_matcher
from responder.domain.values import Json, JsonObject, Labels


class Mode(StrEnum):
    """Whether a runbook acts or only shows what it would do."""

    OBSERVE = "observe"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class TargetRule:
    """How labels become an object: `$label` stands for the label's value."""

    name: str
    kind: str
    namespace: str
    object_name: str
    owner_of_pod: bool = False
    """When the labels name a pod only, walk its owners to the workload."""


@dataclass(frozen=True, slots=True)
class When:
    """Conditions of a step; all must hold, a false one skips the step with its reason."""

    rollout_younger_than: timedelta | None = None


@dataclass(frozen=True, slots=True)
class StepDef:
    """One step of a runbook: an action and its parameters, already validated."""

    action: str
    params: JsonObject = field(default_factory=dict)
    """As the action's Params model dumps it in JSON mode."""
    when: When = field(default_factory=When)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one target may bear. Counts are effects (changes made), times are wall-clock."""

    cooldown: timedelta = timedelta(minutes=15)
    """Time after the last effect of an earlier run before the next run may act; also how long
    after its end an incident is reopened by a refire."""
    per_hour: int = 6
    per_day: int = 20


@dataclass(frozen=True, slots=True)
class Runbook:
    """What is done for alerts that match."""

    name: str
    matchers: tuple[Matcher, ...]
    """All must match; none at all matches every alert."""
    target: str
    """Name of a TargetRule."""
    mode: Mode
    steps: tuple[StepDef, ...]
    limits: Limits = field(default_factory=Limits)
    escalation: str = "default"

    def takes(self, labels: Labels) -> bool:
        """Say whether it is for an alert with `labels`."""
        return all(matcher.matches(labels) for matcher in self.matchers)


@dataclass(frozen=True, slots=True)
class Level:
    """One escalation level: told when the incident has lasted `after`."""

    after: timedelta
    notify: tuple[str, ...]
    """Names of receivers."""


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Bounds for the whole cluster. Nothing allowed means nothing may be touched."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    cluster_per_hour: int = 20
    hold: timedelta = timedelta(minutes=10)
    """How long a held step waits for its reason to pass before the run stops and escalates."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All policy files, merged."""

    targets: Mapping[str, TargetRule]
    runbooks: tuple[Runbook, ...]
    """In file order: the first that matches wins."""
    escalation: Mapping[str, tuple[Level, ...]]
    gate: GateConfig


@dataclass(frozen=True, slots=True)
class Match:
    """Why an alert did or did not match a runbook."""

    runbook: str
    matched: bool
    reason: str
    """In words: `matched severity="critical"`, or `severity is "warning", wanted "critical"`."""


SCHEMA = 1
"""Version of the form that `runbook_to_json` writes."""


def runbook_to_json(runbook: Runbook) -> JsonObject:
    """Freeze a runbook as JSON with `schema: 1`; `runbook_from_json` reads it back equal."""
    return {
        "schema": SCHEMA,
        "name": runbook.name,
        "matchers": [str(matcher) for matcher in runbook.matchers],
        "target": runbook.target,
        "mode": runbook.mode.value,
        "steps": [
            {"action": step.action, "params": step.params, "when": _when_to_json(step.when)}
            for step in runbook.steps
        ],
        "limits": {
            "cooldown_seconds": runbook.limits.cooldown.total_seconds(),
            "per_hour": runbook.limits.per_hour,
            "per_day": runbook.limits.per_day,
        },
        "escalation": runbook.escalation,
    }


def runbook_from_json(document: Mapping[str, Json]) -> Runbook:
    """Read a frozen runbook. Raises ValueError for a schema that no reader knows."""
    schema = document.get("schema")
    reader = _READERS.get(schema) if isinstance(schema, int) else None
    if reader is None:
        raise ValueError(f"no reader for a frozen runbook of schema {schema!r}")
    return reader(document)


def _read_1(document: Mapping[str, Json]) -> Runbook:
    limits = documents.mapping(document, "limits")
    return Runbook(
        name=documents.text(document, "name"),
        matchers=tuple(parse_matcher(str(text)) for text in documents.items(document, "matchers")),
        target=documents.text(document, "target"),
        mode=Mode(documents.text(document, "mode")),
        steps=tuple(
            _step_1(documents.as_mapping(step, "step"))
            for step in documents.items(document, "steps")
        ),
        limits=Limits(
            cooldown=documents.seconds(limits, "cooldown_seconds"),
            per_hour=documents.count(limits, "per_hour"),
            per_day=documents.count(limits, "per_day"),
        ),
        escalation=documents.text(document, "escalation"),
    )


def _step_1(document: JsonObject) -> StepDef:
    when = documents.mapping(document, "when")
    younger = "rollout_younger_than_seconds"
    return StepDef(
        action=documents.text(document, "action"),
        params=documents.mapping(document, "params"),
        when=When(documents.seconds(when, younger) if younger in when else None),
    )


_READERS: Mapping[int, Callable[[Mapping[str, Json]], Runbook]] = {1: _read_1}
"""One reader per version, for ever: runs outlive releases."""


def _when_to_json(when: When) -> JsonObject:
    if when.rollout_younger_than is None:
        return {}
    return {"rollout_younger_than_seconds": when.rollout_younger_than.total_seconds()}


def match(policy: Policy, labels: Labels) -> tuple[Runbook | None, tuple[Match, ...]]:
    """Return the first runbook that matches, and every match tried up to it with its reason."""
    tried: list[Match] = []
    for runbook in policy.runbooks:
        missed = [matcher for matcher in runbook.matchers if not matcher.matches(labels)]
        if not missed:
            said = ", ".join(map(str, runbook.matchers)) or "every alert"
            tried.append(Match(runbook.name, matched=True, reason=f"matched {said}"))
            return runbook, tuple(tried)
        reason = "; ".join(matcher.refusal(labels) for matcher in missed)
        tried.append(Match(runbook.name, matched=False, reason=reason))
    return None, tuple(tried)
