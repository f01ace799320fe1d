"""Reads the steps of a runbook, each by the parameters of the action that it names."""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.shared.config import (
    ConfigError,
    Document,
    Problem,
    Section,
    Trail,
    nearest,
    problem,
    validate,
)
from responder.contract import ActionSpec, Role
from responder.domain.policy import StepDef, When
from responder.domain.values import JsonObject
from responder.policies.files import without
from responder.policies.model import WhenSection

Actions = Mapping[str, ActionSpec[Section]]


@dataclass(frozen=True, slots=True)
class StepReader:
    """Reads the steps of one document."""

    document: Document
    actions: Actions
    problems: list[Problem]
    """Where problems are put; a step with one is left out of what is returned."""

    def read(self, trail: Trail, raw: list[object]) -> tuple[StepDef, ...]:
        """Return the steps at `trail`."""
        steps: list[StepDef] = []
        if not raw:
            self.problems.append(problem(self.document, trail, "a runbook has at least one step"))
        for index, step in enumerate(raw):
            try:
                steps.append(self._step((*trail, index), step, steps))
            except ConfigError as error:
                self.problems.extend(error.problems)
        return tuple(steps)

    def _step(self, trail: Trail, raw: object, before: list[StepDef]) -> StepDef:
        if not isinstance(raw, dict) or len(raw) != 1:
            raise self._error(trail, "a step is one action with its parameters: `restart: {}`")
        name, body = next(iter(raw.items()))
        trail = (*trail, name)
        if name not in self.actions:
            message = f'"{name}" is not an action; {nearest(name, self.actions)}'
            raise self._error(trail, message, key=True)
        if not isinstance(body, dict):
            raise self._error(trail, f"{name} takes a mapping of parameters; none at all is {{}}")
        when = self._when(trail) if "when" in body else When()
        return StepDef(name, self._params(trail, body, before), when)

    def _when(self, trail: Trail) -> When:
        section = validate(WhenSection, self.document, path=(*trail, "when"), noun="condition")
        return When(section.rollout_younger_than)

    def _params(self, trail: Trail, body: dict[str, object], before: list[StepDef]) -> JsonObject:
        name = str(trail[-1])
        spec = self.actions[name]
        if spec.role is Role.VERIFY and not body.keys() - {"when"}:
            # A bare verify stays bare: the planner fills in the one before.
            if any(step.action == name for step in before):
                return {}
            message = f"the first {name} of a runbook says what to look at; only later ones inherit"
            raise self._error(trail, message, key=True)
        params = validate(
            spec.params, without(self.document, (*trail, "when")), path=trail, noun="parameter"
        )
        return params.model_dump(mode="json")

    def _error(self, trail: Trail, message: str, *, key: bool = False) -> ConfigError:
        return ConfigError([problem(self.document, trail, message, key=key)])
