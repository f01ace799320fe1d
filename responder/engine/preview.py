"""What a run would do now: every step planned and judged, nothing stored, nothing changed."""

from dataclasses import dataclass, replace

from exporter.shared.errors import PermanentError, TransientError
from responder.contract import Role, StepContext
from responder.domain.gate import verdict_to_json
from responder.domain.incident import Run
from responder.domain.planner import steps_of
from responder.domain.policy import Runbook, StepDef
from responder.domain.values import Target
from responder.engine import judging
from responder.engine.services import Services


@dataclass(frozen=True, slots=True)
class PreviewedStep:
    """One step as it would be taken if it were taken now."""

    action: str
    role: str
    summary: str
    """The plan in one line, or why there is none."""
    verdict: str
    """`allowed`, `refused`, `held` or `skipped`."""
    reason: str
    pods: int
    """Pods that the step would replace or remove."""
    of: int = 0
    """Pods that the target has."""
    reversible: bool | None = None
    """Whether it can be taken back; None for a step that changes nothing or has no plan."""


async def preview(services: Services, runbook: Runbook, target: Target) -> list[PreviewedStep]:
    """Plan and judge every step of `runbook` on `target` by what is true now.

    Later steps are judged as if they came first: what an earlier one changes is not foreseen.
    """
    roles = {name: spec.role.value for name, spec in services.actions.items()}
    frozen = replace(runbook, steps=steps_of(runbook, roles))
    run = Run(0, 0, frozen, target, "preview", 1, services.now())
    return [await _step(services, run, step) for step in frozen.steps]


async def _step(services: Services, run: Run, step: StepDef) -> PreviewedStep:
    spec = services.actions[step.action]
    params = spec.params.model_validate(step.params)
    unreadable = ""
    try:
        skip = await judging.unmet(services, run.target, step.when)
        if skip:
            return PreviewedStep(step.action, spec.role.value, "", "skipped", skip, 0)
        plan = await spec.action.plan(run.target, params, _context(services))
    except TransientError as error:
        plan, unreadable = judging.unreadable_plan(step.action, run.target), str(error)
    except PermanentError as error:
        return PreviewedStep(step.action, spec.role.value, "", "refused", str(error), 0)
    verdict = verdict_to_json(await judging.verdict(services, spec, run, plan, unreadable))
    is_effect = spec.role is Role.EFFECT
    return PreviewedStep(
        action=step.action,
        role=spec.role.value,
        summary=plan.summary,
        verdict=verdict["verdict"],
        reason=f"{verdict['reason']} {verdict['detail']}".strip(),
        pods=plan.blast.pods if is_effect else 0,
        of=plan.blast.of if is_effect else 0,
        reversible=plan.reversible if is_effect and not unreadable else None,
    )


def _context(services: Services) -> StepContext:
    now = services.now()
    return StepContext(
        key="preview",
        incident_id=0,
        labels={},
        intent_at=now,
        now=now,
        kube=services.kube,
        writer=services.writer,
        metrics=services.query,
        databases=services.databases,
        attach=lambda _name, _text: None,
        notify=lambda _receivers, _text: None,
    )
