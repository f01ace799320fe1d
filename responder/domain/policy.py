"""Policies as values: what may be done, to what, when, and who is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from typing_extensions import override

from responder.domain.values import Json, JsonObject, Labels


class Mode(StrEnum):
    """Whether a runbook acts or only shows what it would do."""

    OBSERVE = "observe"
    ACT = "act"


class MatchOp(StrEnum):
    """Alertmanager's matcher operators."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """An Alertmanager matcher: a missing label is the empty string, regexes are anchored."""

    label: str
    op: MatchOp
    value: str

    @override
    def __str__(self) -> str:
        """Return the matcher as users write it."""
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.label}{self.op.value}"{escaped}"'


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
    matchers: tuple[tuple[Matcher, ...], ...]
    """Matches when any inner group matches whole (a list item in YAML is one group)."""
    target: str
    """Name of a TargetRule."""
    mode: Mode
    steps: tuple[StepDef, ...]
    limits: Limits = field(default_factory=Limits)
    escalation: str = "default"


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


def runbook_to_json(runbook: Runbook) -> JsonObject:
    """Freeze a runbook as JSON with `schema: 1`; `runbook_from_json` reads it back equal."""
    raise NotImplementedError


def runbook_from_json(document: Mapping[str, Json]) -> Runbook:
    """Read a frozen runbook. Raises ValueError for a schema that no reader knows."""
    raise NotImplementedError


def match(policy: Policy, labels: Labels) -> tuple[Runbook | None, tuple[Match, ...]]:
    """Return the first runbook that matches, and every match tried up to it with its reason."""
    raise NotImplementedError
