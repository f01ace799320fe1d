"""Takes a Deployment back to an earlier release, as `kubectl rollout undo` does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from typing_extensions import override

from exporter.shared.config import Section
from exporter.shared.errors import ConflictError, NotFoundError, PermanentError
from exporter.shared.kube import TEMPLATE_HASH, Labels, ReplicaSet, Workload
from responder import objects
from responder.contract import Action, ActionSpec, Role, StepContext
from responder.domain.plan import Blast, Plan, Probe, Settled, SettledState
from responder.domain.values import Json, JsonObject, Target
from responder.promql import selector

HEALTHY = "namespace_workload_template:kpi_healthy_timestamp_seconds:max"
"""Recording rule: the time, while a template has run within its targets for five minutes."""

REMEMBERED = "30d"
"""How far back a healthy release is looked for; what Prometheus keeps may end it earlier."""

HISTORY = "deployment.kubernetes.io/revision-history"
"""Annotation of a ReplicaSet that was used more than once: its earlier revisions, with commas."""

KEPT = (
    "deployment.kubernetes.io/",
    "deprecated.deployment.rollback.to",
    "kubectl.kubernetes.io/last-applied-configuration",
    "runbookd.io/",
)
"""Starts of the annotations that stay with the Deployment: kubectl's own list, and ours."""


class Params(Section):
    """Which release to go back to."""

    to: Literal["previous", "last-healthy"] = "previous"
    """`previous`: the newest release that is older than the running one. `last-healthy`: the one
    that Prometheus last saw within its targets for five minutes; none known is a refusal."""


@dataclass(frozen=True, slots=True)
class Releases:
    """A Deployment's history, told apart by what runs now."""

    current: ReplicaSet | None
    """None when the controller has not made a ReplicaSet of the newest template yet."""
    goal: ReplicaSet | None
    """The one to go back to."""


class Rollback(Action[Params]):
    """Puts an earlier pod template back; the controller then reuses that template's ReplicaSet."""

    @override
    async def plan(self, target: Target, params: Params, ctx: StepContext) -> Plan:
        if target.kind != "Deployment":
            raise PermanentError(f"{target.kind}s keep no releases that could be put back")
        workload = await objects.read(ctx.kube, target)
        template = await _template(ctx, target)
        history = await ctx.kube.replica_sets(workload)
        found = releases(template, history)
        if params.to == "previous":
            return _plan(target, workload, found, "no release older than the running one is kept")
        goal = last_healthy(found.current, history, await _healthy(ctx, target))
        none = "no other release that is kept is known to have been within its targets"
        return _plan(target, workload, replace(found, goal=goal), none)

    @override
    async def apply(self, plan: Plan, params: Params, ctx: StepContext) -> None:
        async def write(workload: Workload) -> None:
            goal = _goal(plan, await ctx.kube.replica_sets(workload))
            await ctx.writer.json_patch(plan.target, _patch(workload, goal, ctx.key))

        await objects.change(plan, ctx, write)

    @override
    async def probe(self, plan: Plan, params: Params, ctx: StepContext) -> Probe:
        return await objects.probe(plan, ctx)

    @override
    async def settled(self, plan: Plan, params: Params, ctx: StepContext) -> Settled:
        look = await objects.rollout(plan, ctx)
        if look.settled.state is not SettledState.DONE:
            return look.settled
        history = await ctx.kube.replica_sets(look.workload)
        running = history[0].template_hash if history else ""
        if running != plan.effect["template_hash"]:
            detail = f"the running template is {running}, wanted {plan.effect['template_hash']}"
            return Settled(SettledState.FAILED, detail, look.settled.facts)
        return look.settled


def releases(template: Mapping[str, object], history: Sequence[ReplicaSet]) -> Releases:
    """Find the running release and the one before it.

    "Older" goes by the first revision of each template: after v1, v2 and a rollback to v1, the
    controller numbers v1 as revision 3, and kubectl would undo to v2, the release that was just
    rolled back. Of the older ones, the release that ran last is the previous one.
    """
    wanted = _without_hash(template)
    current = next((one for one in history if _without_hash(one.template) == wanted), None)
    older = [
        one for one in history if current is None or first_revision(one) < first_revision(current)
    ]
    return Releases(current, max(older, key=lambda one: one.revision, default=None))


def last_healthy(
    current: ReplicaSet | None, history: Sequence[ReplicaSet], healthy: Mapping[str, float]
) -> ReplicaSet | None:
    """Find the release that was healthy last, the running one left out.

    `healthy` maps template hashes to when each was last seen healthy, in seconds since the epoch.
    """
    known = [
        one
        for one in history
        if one.template_hash in healthy and (current is None or one.uid != current.uid)
    ]
    return max(known, key=lambda one: healthy[one.template_hash], default=None)


def first_revision(replica_set: ReplicaSet) -> int:
    """Return the revision under which the template first ran."""
    history = replica_set.annotations.get(HISTORY, "").split(",")
    return min([replica_set.revision, *(int(one) for one in history if one.isdecimal())])


def restored(current: Labels, earlier: Labels, key: str) -> dict[str, str]:
    """Return the annotations that the Deployment gets with its earlier template.

    As `kubectl rollout undo` does it, the ReplicaSet's come back (`change-cause` among them) and
    the rest goes, but for what describes the Deployment itself.
    """
    kept = {name: value for name, value in current.items() if name.startswith(KEPT)}
    back = {name: value for name, value in earlier.items() if not name.startswith(KEPT)}
    return {**back, **kept, objects.LAST_ACTION: key}


async def _template(ctx: StepContext, target: Target) -> Mapping[str, object]:
    found = await ctx.kube.describe(target.kind, target.namespace, target.name)
    spec = found.get("spec") if found else None
    template = spec.get("template") if isinstance(spec, dict) else None
    if not isinstance(template, dict):
        raise NotFoundError(f"{target} does not exist")
    return template


async def _healthy(ctx: StepContext, target: Target) -> dict[str, float]:
    subject = {
        "namespace": target.namespace,
        "workload": target.name,
        "workload_type": target.kind.lower(),
    }
    query = f"max by (template_hash) (max_over_time({HEALTHY}{selector(subject)}[{REMEMBERED}]))"
    found = await ctx.metrics.instant(query)
    return {one.labels.get("template_hash", ""): one.value for one in found}


def _without_hash(template: Mapping[str, object]) -> dict[str, object]:
    """Return the template without the label that the controller puts on a ReplicaSet's copy."""
    metadata = template.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, dict) else {}
    labels = metadata.get("labels")
    if isinstance(labels, dict):
        metadata["labels"] = {name: labels[name] for name in labels if name != TEMPLATE_HASH}
    return {**template, "metadata": metadata}


def _goal(plan: Plan, history: Sequence[ReplicaSet]) -> ReplicaSet:
    """Return the very ReplicaSet that was planned for."""
    for one in history:
        if (one.uid, one.template_hash) == (plan.effect["uid"], plan.effect["template_hash"]):
            return one
    raise ConflictError(f"revision {plan.effect['revision']} of {plan.target} is no longer kept")


def _patch(workload: Workload, goal: ReplicaSet, key: str) -> list[JsonObject]:
    template = cast("Json", _without_hash(goal.template))
    annotations = cast("Json", restored(workload.annotations, goal.annotations, key))
    version = workload.resource_version
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
        {"op": "replace", "path": "/spec/template", "value": template},
    ]


def _release(replica_set: ReplicaSet | None) -> str:
    if replica_set is None:
        return "a release that was never rolled out"
    return f"{', '.join(replica_set.images)} (revision {replica_set.revision})"


def _plan(target: Target, workload: Workload, found: Releases, none: str) -> Plan:
    goal, refusal = found.goal, ""
    if workload.paused:
        refusal = "its rollout is paused"
    elif goal is None:
        refusal = none
    summary = f"roll {target} back from {_release(found.current)}"
    return Plan(
        action="rollback",
        target=target,
        summary=f"{summary} to {_release(goal)}" if goal else summary,
        blast=Blast(pods=workload.total, of=workload.total),
        reversible=True,
        effect=_effect(found.current, goal) if goal else {},
        precondition=objects.precondition(workload),
        refusal=refusal,
    )


def _effect(current: ReplicaSet | None, goal: ReplicaSet) -> JsonObject:
    return {
        "uid": goal.uid,
        "template_hash": goal.template_hash,
        "revision": goal.revision,
        "images": list(goal.images),
        "from_template_hash": current.template_hash if current else "",
        "from_images": list(current.images) if current else [],
    }


SPEC = ActionSpec(
    name="rollback",
    help="Take a Deployment back to the previous release, or to the last one that was healthy.",
    params=Params,
    action=Rollback(),
    role=Role.EFFECT,
    during_rollout=True,
    permissions=("apps/deployments:get,patch", "apps/replicasets:list"),
)
