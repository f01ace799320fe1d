"""Replaces a workload's pods one by one, as `kubectl rollout restart` does."""

from datetime import UTC

from typing_extensions import override

from exporter.shared.config import Section
from exporter.shared.kube import Workload
from responder import objects
from responder.contract import Action, ActionSpec, Role, StepContext
from responder.domain.plan import Blast, Plan, Probe, Settled
from responder.domain.values import JsonObject, Target

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


class Params(Section):
    """A restart takes no parameters."""


class Restart(Action[Params]):
    """Stamps the pod template with the intent's time, so that a repeat changes nothing."""

    @override
    async def plan(self, target: Target, params: Params, ctx: StepContext) -> Plan:
        workload = await objects.read(ctx.kube, target)
        return Plan(
            action="restart",
            target=target,
            summary=f"restart the {workload.replicas} pods of {target}",
            blast=Blast(pods=workload.replicas, of=workload.replicas),
            reversible=False,
            precondition=objects.precondition(workload),
            refusal="its rollout is paused" if workload.paused else "",
        )

    @override
    async def apply(self, plan: Plan, params: Params, ctx: StepContext) -> None:
        async def write(workload: Workload) -> None:
            patch: JsonObject = {
                "metadata": objects.metadata(workload, ctx.key),
                "spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: _stamp(ctx)}}}},
            }
            await ctx.writer.merge_patch(plan.target, patch)

        await objects.change(plan, ctx, write)

    @override
    async def probe(self, plan: Plan, params: Params, ctx: StepContext) -> Probe:
        return await objects.probe(
            plan, ctx, lambda found: found.template_annotations.get(RESTARTED_AT) == _stamp(ctx)
        )

    @override
    async def settled(self, plan: Plan, params: Params, ctx: StepContext) -> Settled:
        return (await objects.rollout(plan, ctx)).settled


def _stamp(ctx: StepContext) -> str:
    """Return the intent's time as kubectl writes it: RFC 3339, whole seconds."""
    return ctx.intent_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


SPEC = ActionSpec(
    name="restart",
    help="Replace the pods of a Deployment, StatefulSet or DaemonSet one by one.",
    params=Params,
    action=Restart(),
    role=Role.EFFECT,
    permissions=(
        "apps/deployments:get,patch",
        "apps/statefulsets:get,patch",
        "apps/daemonsets:get,patch",
    ),
)
