"""A responder whose restart knows neither probe nor precondition: what the harness must catch.

`python -m tests.bed.reckless serve …` is the product with one planted fault: after a crash it
restarts again, because it does not ask, and nothing on the target's side holds it back.
"""

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from typing_extensions import override

from responder.actions import restart
from responder.cli import main
from responder.contract import StepContext
from responder.domain.plan import Plan, Probe

if TYPE_CHECKING:
    from responder.domain.values import JsonObject


class Reckless(restart.Restart):
    """Restarts by the clock instead of by the intent."""

    @override
    async def apply(self, plan: Plan, params: restart.Params, ctx: StepContext) -> None:
        """Roll the pods unconditionally."""
        stamp = ctx.now.astimezone(UTC).isoformat()
        template: JsonObject = {"metadata": {"annotations": {restart.RESTARTED_AT: stamp}}}
        await ctx.writer.merge_patch(plan.target, {"spec": {"template": template}})

    @override
    async def probe(self, plan: Plan, params: restart.Params, ctx: StepContext) -> Probe:
        """Claim that nothing was ever applied."""
        return Probe.NOT_APPLIED


if __name__ == "__main__":
    restart.SPEC = replace(restart.SPEC, action=Reckless())
    main()
