"""Tells people something in the course of a run."""

from pydantic import Field
from typing_extensions import override

from exporter.shared.config import Section
from responder.contract import Action, ActionSpec, Role, StepContext
from responder.domain.plan import Blast, Plan, Probe, Settled, SettledState
from responder.domain.values import Target


class Params(Section):
    """Whom, and what."""

    receivers: tuple[str, ...] = Field(min_length=1)
    """Names of receivers in the settings."""
    text: str = Field(min_length=1, max_length=4000)
    """Sent as it stands."""


class Notify(Action[Params]):
    """Queues the message with the step; the outbox delivers it, once per receiver and key."""

    @override
    async def plan(self, target: Target, params: Params, ctx: StepContext) -> Plan:
        summary = f"tell {', '.join(params.receivers)}"
        return Plan("notify", target, summary, Blast(0, 0), reversible=False)

    @override
    async def apply(self, plan: Plan, params: Params, ctx: StepContext) -> None:
        ctx.notify(params.receivers, params.text)

    @override
    async def probe(self, plan: Plan, params: Params, ctx: StepContext) -> Probe:
        # Queueing again under the same key adds nothing.
        return Probe.NOT_APPLIED

    @override
    async def settled(self, plan: Plan, params: Params, ctx: StepContext) -> Settled:
        return Settled(SettledState.DONE, f"queued for {', '.join(params.receivers)}")


SPEC = ActionSpec(
    name="notify",
    help="Send a message to receivers.",
    params=Params,
    action=Notify(),
    role=Role.NEUTRAL,
)
