"""Reads policies: one file, or a folder whose files are merged, into one domain Policy."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from exporter.shared.config import ConfigError, Problem, Trail
from responder.domain.matchers import Matcher, parse_matchers
from responder.domain.policy import GateConfig, Level, Limits, Policy, Runbook, TargetRule
from responder.domain.target import label_of
from responder.domain.values import KINDS, valid_name, valid_namespace
from responder.policies import checks
from responder.policies.checks import Written, WrittenLevel
from responder.policies.files import Source, read
from responder.policies.model import GateSection, LevelSection, RunbookSection, TargetSection
from responder.policies.steps import Actions, StepReader

CLUSTER_KINDS = ("node",)
"""Kinds whose objects stand in no namespace."""


def load(path: Path, actions: Actions, receivers: AbstractSet[str] | None = None) -> Policy:
    """Read the policy at `path` against the actions and receivers that there are.

    `receivers=None` leaves names of receivers unchecked. Raises ConfigError with every problem
    found, in the order of files and lines.
    """
    problems: list[Problem] = []
    sources = read(path, problems)
    targets = _targets(sources, problems)
    written = [
        _runbook(source, trail, section, actions, problems)
        for source in sources
        for trail, section in source.parts(RunbookSection, source.runbooks, problems)
    ]
    levels = {
        name: _levels(source, name, problems)
        for source in sources
        for name in source.content.escalation
    }
    gate = _gate(sources, problems)
    problems += checks.sections_in_one_file(sources)
    problems += checks.names(sources, written)
    problems += checks.unreachable(written)
    problems += checks.levels(sources, levels)
    if receivers is not None:
        problems += checks.receivers(written, levels, receivers)
    if problems:
        raise ConfigError(sorted(problems, key=lambda each: (each.file, each.line, each.column)))
    return Policy(
        targets=targets,
        runbooks=tuple(item.runbook for item in written),
        escalation={name: tuple(row.level for row in rows) for name, rows in levels.items()},
        gate=gate,
    )


def lint(path: Path, actions: Actions, receivers: AbstractSet[str] | None = None) -> list[Problem]:
    """Return what `load` would refuse the policy at `path` for; empty when it is good."""
    try:
        load(path, actions, receivers)
    except ConfigError as error:
        return list(error.problems)
    return []


def _runbook(
    source: Source,
    trail: Trail,
    section: RunbookSection,
    actions: Actions,
    problems: list[Problem],
) -> Written:
    before = len(problems)
    matchers = _matchers(source, trail, section, problems)
    readable = len(problems) == before
    steps = StepReader(source.document, actions, problems).read((*trail, "steps"), section.steps)
    limits = Limits(section.limits.cooldown, section.limits.per_hour, section.limits.per_day)
    runbook = Runbook(
        name=section.name,
        matchers=matchers,
        target=section.target,
        mode=section.mode,
        steps=steps,
        limits=limits,
        escalation=section.escalation,
    )
    return Written(source, trail, runbook, readable)


def _matchers(
    source: Source, trail: Trail, section: RunbookSection, problems: list[Problem]
) -> tuple[Matcher, ...]:
    found: list[Matcher] = []
    for index, text in enumerate(section.match):
        try:
            found += parse_matchers(text)
        except ValueError as error:
            problems.append(source.wrong((*trail, "match", index), str(error)))
    return tuple(found)


def _levels(source: Source, name: str, problems: list[Problem]) -> list[WrittenLevel]:
    rows = source.content.escalation[name]
    trails: list[Trail] = [("escalation", name, index) for index in range(len(rows))]
    return [
        WrittenLevel(source, trail, Level(section.after, tuple(section.notify)))
        for trail, section in source.parts(LevelSection, trails, problems)
    ]


def _targets(sources: list[Source], problems: list[Problem]) -> dict[str, TargetRule]:
    targets: dict[str, TargetRule] = {}
    for source in sources:
        trails: list[Trail] = [("targets", name) for name in source.content.targets]
        for trail, section in source.parts(TargetSection, trails, problems):
            for key, message in _flaws(section).items():
                problems.append(source.wrong((*trail, key), message))
            name = str(trail[-1])
            targets[name] = TargetRule(
                name=name,
                kind=KINDS.get(section.kind.lower(), section.kind),
                namespace=section.namespace,
                object_name=section.name,
                owner_of_pod=section.otherwise == "owner-of-pod",
            )
    return targets


def _flaws(section: TargetSection) -> Mapping[str, str]:
    """Return what is wrong with a target, by key."""
    found: dict[str, str] = {}
    written = {"kind": section.kind, "namespace": section.namespace, "name": section.name}
    for key, text in written.items():
        try:
            if label_of(text) is None and (message := _flaw(key, text, section)):
                found[key] = message
        except ValueError as error:
            found[key] = str(error)
    return found


def _flaw(key: str, text: str, section: TargetSection) -> str:
    if key == "kind":
        return checks.unknown("a kind that runbooks can be about", text.lower(), KINDS)
    if key == "name":
        return "" if valid_name(text) else f'"{text}" is not a Kubernetes name'
    if text:
        return "" if valid_namespace(text) else f'"{text}" is not a Kubernetes namespace'
    return "" if section.kind.lower() in CLUSTER_KINDS else "the namespace is missing"


def _gate(sources: list[Source], problems: list[Problem]) -> GateConfig:
    written = [
        section
        for source in sources
        if source.document.has(("gate",))
        for _, section in source.parts(GateSection, [("gate",)], problems)
    ]
    if not written:
        return GateConfig()
    gate = written[0]
    return GateConfig(
        allow=frozenset(gate.namespaces.allow),
        deny=frozenset(gate.namespaces.deny),
        cluster_per_hour=gate.budget.cluster_per_hour,
        hold=gate.hold,
    )
