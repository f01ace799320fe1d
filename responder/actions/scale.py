"""Changes the number of a workload's pods."""

from math import ceil
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from exporter.shared.config import Section
from exporter.shared.kube import Workload
from responder import objects
from responder.contract import Action, ActionSpec, Role, StepContext
from responder.domain.plan import Blast, Plan, Probe, Settled, SettledState
from responder.domain.values import JsonObject, Target

SCALABLE = ("Deployment", "StatefulSet")


def _as_text(value: object) -> object:
    """YAML reads `by: 2` as a number and `by: 50%` as text; both mean a step."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Step = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[+-]?[1-9][0-9]{0,4}%?$")]


class Params(Section):
    """Where to: `to` a number of pods, or `by` a step; within `min` and `max`."""

    to: int | None = Field(default=None, ge=0)
    """The number of pods wanted."""
    by: Step | None = None
    """`2`, `-1`, `50%`, `-25%`; a part of a pod counts as a whole one."""
    min: int = Field(default=1, ge=0)
    """Never fewer pods than this; scaling to nothing takes `min: 0`."""
    max: int | None = Field(default=None, ge=0)
    """Never more pods than this."""

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if (self.to is None) == (self.by is None):
            raise ValueError("scale needs either `to` or `by`")
        if self.max is not None and self.max < self.min:
            raise ValueError("`max` is smaller than `min`")
        if self.to is not None and self._clamp(self.to) != self.to:
            raise ValueError(f"`to: {self.to}` is outside of `min` and `max`")
        return self

    def wanted(self, replicas: int) -> int:
        """Return the number of pods to have when there are `replicas` now.

        A bound never turns a step around: above `max`, a step up changes nothing.
        """
        if self.to is not None:
            return self.to
        step = _step(self.by or "0", replicas)
        wanted = self._clamp(replicas + step)
        return max(replicas, wanted) if step > 0 else min(replicas, wanted)

    def _clamp(self, replicas: int) -> int:
        return max(self.min, replicas if self.max is None else min(self.max, replicas))


def _step(by: str, replicas: int) -> int:
    """Return a step in pods; a part of a pod is rounded up, so that -25 % of 3 takes none away."""
    return ceil(replicas * int(by[:-1]) / 100) if by.endswith("%") else int(by)


class Scale(Action[Params]):
    """Writes an absolute number that was worked out in the plan, so that a repeat adds nothing."""

    @override
    async def plan(self, target: Target, params: Params, ctx: StepContext) -> Plan:
        workload = await objects.read(ctx.kube, target)
        now, wanted = workload.replicas, params.wanted(workload.replicas)
        refusal = ""
        if target.kind not in SCALABLE:
            refusal = f"a {target.kind} has as many pods as there are nodes"
        elif wanted == now:
            refusal = f"it has {now} pods already"
        return Plan(
            action="scale",
            target=target,
            summary=f"scale {target} from {now} to {wanted} pods",
            blast=Blast(pods=max(0, now - wanted), of=now),
            reversible=True,
            effect={"from": now, "to": wanted},
            precondition=objects.precondition(workload),
            refusal=refusal,
        )

    @override
    async def apply(self, plan: Plan, params: Params, ctx: StepContext) -> None:
        async def write(workload: Workload) -> None:
            patch: JsonObject = {
                "metadata": objects.metadata(workload, ctx.key),
                "spec": {"replicas": plan.effect["to"]},
            }
            await ctx.writer.merge_patch(plan.target, patch)

        await objects.change(plan, ctx, write)

    @override
    async def probe(self, plan: Plan, params: Params, ctx: StepContext) -> Probe:
        return await objects.probe(plan, ctx)

    @override
    async def settled(self, plan: Plan, params: Params, ctx: StepContext) -> Settled:
        look = await objects.rollout(plan, ctx)
        replicas, wanted = look.workload.replicas, plan.effect["to"]
        if replicas != wanted:
            detail = f"somebody else scaled it to {replicas} pods, wanted {wanted}"
            return Settled(SettledState.FAILED, detail, look.settled.facts)
        return look.settled


SPEC = ActionSpec(
    name="scale",
    help="Change the number of pods of a Deployment or StatefulSet, to a number or by a step.",
    params=Params,
    action=Scale(),
    role=Role.EFFECT,
    permissions=("apps/deployments:get,patch", "apps/statefulsets:get,patch"),
)
