"""What actions on workloads have in common: one conditional write, and how to recognise it later.

An effect is one PATCH that carries three things: the change, the action's key in an annotation of
the object's own metadata (never of the pod template, which would make a new ReplicaSet), and the
resourceVersion of the object as it was read just before. The plan's uid and generation are compared
on that read, so the change lands on the object that was planned for, or not at all.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from exporter.shared.errors import ConflictError, NotFoundError, PermanentError
from exporter.shared.kube import KubeReader, Workload
from responder.contract import StepContext
from responder.domain.plan import Plan, Probe, Settled, SettledState
from responder.domain.values import JsonObject, Target

LAST_ACTION = "runbookd.io/last-action"
"""Annotation that holds the key of the last effect."""

TRIES = 5
"""A controller writes an object's status a few times a second during a rollout; five reads in a
row that are all outdated at once mean that something else is wrong."""

STALLED = "ProgressDeadlineExceeded"


async def read(kube: KubeReader, target: Target) -> Workload:
    """Return the target as it is now. Raises NotFoundError when it is gone."""
    workload = await kube.workload(target.kind, target.namespace, target.name)
    if workload is None:
        raise NotFoundError(f"{target} does not exist")
    return workload


def precondition(workload: Workload) -> JsonObject:
    """Return what must still be true of the object when a plan made from it is applied."""
    return {"uid": workload.uid, "generation": workload.generation}


def metadata(workload: Workload, key: str) -> JsonObject:
    """Return the metadata of a merge patch: the condition and the key."""
    return {"resourceVersion": workload.resource_version, "annotations": {LAST_ACTION: key}}


async def change(
    plan: Plan, ctx: StepContext, write: Callable[[Workload], Awaitable[None]]
) -> None:
    """Read the target and `write` the change to it, if it is still the object planned for.

    `write` must carry the resourceVersion of the workload that it is handed. Does nothing when the
    key is already there. Raises ConflictError when uid or generation moved on; a conflict that
    leaves both as they were was about the status only, and is tried again.
    """
    for _ in range(TRIES):
        workload = await read(ctx.kube, plan.target)
        if workload.annotations.get(LAST_ACTION) == ctx.key:
            return
        if precondition(workload) != plan.precondition:
            raise ConflictError(f"{plan.target} was changed after the plan was made")
        try:
            await write(workload)
        except ConflictError:
            continue
        return
    raise ConflictError(f"{plan.target} kept changing during {TRIES} tries")


async def probe(
    plan: Plan, ctx: StepContext, has_landed: Callable[[Workload], bool] = lambda _: False
) -> Probe:
    """Say whether the change landed, by the key or else by what `has_landed` recognises.

    UNKNOWN when the object is gone, is another one, or was changed by somebody after the plan: then
    a later key may have replaced ours.
    """
    try:
        workload = await read(ctx.kube, plan.target)
    except PermanentError:
        return Probe.UNKNOWN
    if workload.uid != plan.precondition["uid"]:
        return Probe.UNKNOWN
    if workload.annotations.get(LAST_ACTION) == ctx.key or has_landed(workload):
        return Probe.APPLIED
    return Probe.NOT_APPLIED if precondition(workload) == plan.precondition else Probe.UNKNOWN


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far the pods are."""

    workload: Workload
    settled: Settled


async def rollout(plan: Plan, ctx: StepContext) -> Rollout:
    """Look whether every wanted pod runs the newest template.

    FAILED when the object is gone or another, or when the controller gave up since the effect: a
    condition from before it says nothing.
    """
    workload = await read(ctx.kube, plan.target)
    counts = f"{workload.updated} updated, {workload.available} available of {workload.replicas}"
    facts: JsonObject = {
        "replicas": workload.replicas,
        "updated": workload.updated,
        "available": workload.available,
    }
    if workload.uid != plan.precondition["uid"]:
        state, detail = SettledState.FAILED, f"{plan.target} was deleted and made anew"
    elif workload.rolled_out:
        state, detail = SettledState.DONE, f"rolled out: {counts}"
    elif has_stalled(workload, ctx.intent_at):
        state, detail = SettledState.FAILED, f"the rollout is stuck ({STALLED}): {counts}"
    else:
        state, detail = SettledState.PENDING, f"rolling out: {counts}"
    return Rollout(workload, Settled(state, detail, facts))


def has_stalled(workload: Workload, since: datetime) -> bool:
    """Say whether the controller gave up on the newest template after `since`."""
    observed = workload.observed_generation >= workload.generation
    at = workload.progressing_at
    # The API writes whole seconds.
    is_new = at is None or at >= since.astimezone(UTC).replace(microsecond=0)
    return observed and is_new and workload.progressing_reason == STALLED
