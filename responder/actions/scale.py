"""Changes the number of a workload's pods; under an autoscaler, the least number that it keeps."""

from datetime import timedelta
from math import ceil
from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import override

from exporter.shared.config import Duration, Section
from exporter.shared.errors import ConflictError
from exporter.shared.kube import Autoscaler, Workload
from responder import objects
from responder.contract import Action, ActionSpec, Role, StepContext, Undo
from responder.domain.plan import Blast, Plan, Probe, Settled, SettledState
from responder.domain.values import JsonObject, Target

SCALABLE = ("Deployment", "StatefulSet")
AUTOSCALER = "HorizontalPodAutoscaler"


def _as_text(value: object) -> object:
    """YAML reads `by: 2` as a number and `by: 50%` as text; both mean a step."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Step = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[+-]?[1-9][0-9]{0,4}%?$")]


class Params(Section):
    """Where to: `to` a number of pods, or `by` a step; within `min` and `max`.

    A workload under a HorizontalPodAutoscaler gets the number as the autoscaler's minimum.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    to: int | None = Field(default=None, ge=0)
    """The number of pods wanted."""
    by: Step | None = None
    """`2`, `-1`, `50%`, `-25%`; a part of a pod counts as a whole one."""
    min: int = Field(default=1, ge=0)
    """Never fewer pods than this; scaling to nothing takes `min: 0`."""
    max: int | None = Field(default=None, ge=0)
    """Never more pods than this."""
    duration: Duration | None = Field(default=None, alias="for", gt=timedelta(0))
    """When the number before is put back, unless somebody has changed it by then."""
    only_from: int | None = Field(default=None, ge=0)
    """Scale only what has this number now; anything else was somebody's wish."""

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
        if target.kind not in SCALABLE:
            return _plan(target, workload, workload.replicas, workload.replicas, _of_nodes(target))
        autoscaler = await ctx.kube.autoscaler(workload)
        if autoscaler is not None:
            return _plan_minimum(target, workload, autoscaler, params)
        now, wanted = workload.replicas, params.wanted(workload.replicas)
        refusal = f"it has {now} pods already" if wanted == now else _unexpected(params, now)
        return _plan(target, workload, now, wanted, refusal)

    @override
    async def apply(self, plan: Plan, params: Params, ctx: StepContext) -> None:
        async def write(workload: Workload) -> None:
            patch: JsonObject = {
                "metadata": objects.metadata(workload, ctx.key),
                "spec": {"replicas": plan.effect["to"]},
            }
            await ctx.writer.merge_patch(plan.target, patch)

        if "autoscaler" in plan.effect:
            await _change_minimum(plan, ctx)
        else:
            await objects.change(plan, ctx, write)

    @override
    async def probe(self, plan: Plan, params: Params, ctx: StepContext) -> Probe:
        if "autoscaler" not in plan.effect:
            return await objects.probe(plan, ctx)
        autoscaler = await _planned_autoscaler(plan, ctx)
        if autoscaler is None:
            return Probe.UNKNOWN
        if autoscaler.annotations.get(objects.LAST_ACTION) == ctx.key:
            return Probe.APPLIED
        untouched = autoscaler.minimum == plan.effect["from"]
        return Probe.NOT_APPLIED if untouched else Probe.UNKNOWN

    @override
    async def settled(self, plan: Plan, params: Params, ctx: StepContext) -> Settled:
        look = await objects.rollout(plan, ctx)
        replicas, wanted = look.workload.replicas, int(str(plan.effect["to"]))
        if "autoscaler" in plan.effect:
            if replicas < wanted and look.settled.state is not SettledState.FAILED:
                detail = f"the autoscaler has not raised it from {replicas} to {wanted} pods yet"
                return Settled(SettledState.PENDING, detail, look.settled.facts)
            return look.settled
        if replicas != wanted:
            detail = f"somebody else scaled it to {replicas} pods, wanted {wanted}"
            return Settled(SettledState.FAILED, detail, look.settled.facts)
        return look.settled


def _of_nodes(target: Target) -> str:
    return f"a {target.kind} has as many pods as there are nodes"


def _unexpected(params: Params, now: int) -> str:
    if params.only_from in (None, now):
        return ""
    return f"it has {now} pods where {params.only_from} were expected: somebody changed it"


def _plan(target: Target, workload: Workload, now: int, wanted: int, refusal: str) -> Plan:
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


def _plan_minimum(
    target: Target, workload: Workload, autoscaler: Autoscaler, params: Params
) -> Plan:
    """Plan for the autoscaler, which would undo any number of pods that is not of its choosing.

    A step counts from the pods that run; what the autoscaler runs above its minimum is not taken
    away by a lower one, so no pod is counted as removed.
    """
    floor = autoscaler.minimum
    wanted = params.wanted(workload.replicas)
    bounded = min(wanted, autoscaler.maximum)
    if floor == bounded or (params.by and not params.by.startswith("-") and floor > bounded):
        refusal = f"{AUTOSCALER} {autoscaler.name} keeps {floor} pods already"
        if wanted > bounded:
            refusal += f" and {autoscaler.maximum} at most"
    else:
        refusal = _unexpected(params, floor)
    return Plan(
        action="scale",
        target=target,
        summary=f"change the least number of pods that {AUTOSCALER} {autoscaler.name} keeps of"
        f" {target} from {floor} to {bounded}",
        blast=Blast(pods=0, of=workload.replicas),
        reversible=True,
        effect={
            "from": floor,
            "to": bounded,
            "autoscaler": autoscaler.name,
            "autoscaler_uid": autoscaler.uid,
        },
        precondition=objects.precondition(workload),
        refusal=refusal,
    )


async def _planned_autoscaler(plan: Plan, ctx: StepContext) -> Autoscaler | None:
    """Return the very autoscaler that was planned for, or None when it is gone."""
    found = await ctx.kube.autoscaler(await objects.read(ctx.kube, plan.target))
    same = found is not None and found.uid == plan.effect["autoscaler_uid"]
    return found if same else None


async def _change_minimum(plan: Plan, ctx: StepContext) -> None:
    """Write the minimum, if it is still what the plan saw; done before is done.

    An autoscaler's object has no generation, so its minimum itself is what must not have moved.
    """
    for _ in range(objects.TRIES):
        autoscaler = await _planned_autoscaler(plan, ctx)
        if autoscaler is None:
            raise ConflictError(f"the autoscaler of {plan.target} is not the one planned for")
        if autoscaler.annotations.get(objects.LAST_ACTION) == ctx.key:
            return
        if autoscaler.minimum != plan.effect["from"]:
            raise ConflictError(f"{AUTOSCALER} {autoscaler.name} was changed after the plan")
        patch: JsonObject = {
            "metadata": {
                "resourceVersion": autoscaler.resource_version,
                "annotations": {objects.LAST_ACTION: ctx.key},
            },
            "spec": {"minReplicas": plan.effect["to"]},
        }
        target = Target(AUTOSCALER, plan.target.namespace, autoscaler.name)
        try:
            await ctx.writer.merge_patch(target, patch)
        except ConflictError:  # its status is written every 15 seconds
            continue
        return
    raise ConflictError(f"the autoscaler of {plan.target} kept changing")


def undo(plan: Plan, params: Params) -> Undo | None:
    """Say how the number before is put back, when it was changed for a while only."""
    if params.duration is None:
        return None
    back, now = int(str(plan.effect["from"])), int(str(plan.effect["to"]))
    return Undo(params.duration, {"to": back, "min": 0, "only_from": now})


SPEC = ActionSpec(
    name="scale",
    help="Change the number of pods of a Deployment or StatefulSet, to a number or by a step;"
    " under a HorizontalPodAutoscaler, its minimum. With `for`, for a while only.",
    params=Params,
    action=Scale(),
    role=Role.EFFECT,
    permissions=(
        "apps/deployments:get,patch",
        "apps/statefulsets:get,patch",
        "autoscaling/horizontalpodautoscalers:list,patch",
    ),
    undo=undo,
)
