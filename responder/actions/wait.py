"""Lets time pass."""

from datetime import timedelta

from pydantic import ConfigDict, Field
from typing_extensions import override

from exporter.shared.config import Duration, Section, format_duration
from responder.contract import Action, ActionSpec, Role, StepContext
from responder.domain.plan import Blast, Plan, Probe, Settled, SettledState
from responder.domain.values import Target


class Params(Section):
    """How long."""

    model_config = ConfigDict(serialize_by_alias=True)

    duration: Duration = Field(alias="for")
    """Time from the start of the step."""


class Wait(Action[Params]):
    """Is over when the clock says so, however often it was asked."""

    @override
    async def plan(self, target: Target, params: Params, ctx: StepContext) -> Plan:
        summary = f"wait {format_duration(params.duration)}"
        return Plan("wait", target, summary, Blast(0, 0), reversible=True)

    @override
    async def apply(self, plan: Plan, params: Params, ctx: StepContext) -> None:
        pass

    @override
    async def probe(self, plan: Plan, params: Params, ctx: StepContext) -> Probe:
        return Probe.APPLIED

    @override
    async def settled(self, plan: Plan, params: Params, ctx: StepContext) -> Settled:
        if ctx.now >= ctx.intent_at + params.duration:
            return Settled(SettledState.DONE, f"waited {format_duration(params.duration)}")
        return Settled(SettledState.PENDING, plan.summary)


SPEC = ActionSpec(
    name="wait",
    help="Let some time pass.",
    params=Params,
    action=Wait(),
    role=Role.NEUTRAL,
    timeout=lambda params: params.duration + timedelta(minutes=1),
)
