"""Reads what the gate must know, at the moment it judges."""

from dataclasses import replace
from datetime import timedelta

from exporter.shared.config import Section, format_duration
from exporter.shared.errors import RunbookdError
from responder.contract import ActionSpec, Role
from responder.domain.gate import Allowed, Situation, Verdict, judge
from responder.domain.incident import BY_MACHINE, Run, RunStatus
from responder.domain.plan import Blast, Plan
from responder.domain.policy import When
from responder.domain.values import Target, incident_name
from responder.engine.services import Services

OPT_OUT = "runbookd.io/act"
"""Annotation on the object; the value "false" keeps every effect away from it."""


def unreadable_plan(action: str, target: Target) -> Plan:
    """Return the plan that stands in where the target could not be read; it is never applied."""
    return Plan(action, target, "the target could not be read", Blast(0, 0), reversible=False)


async def unmet(services: Services, target: Target, when: When) -> str:
    """Return why the step's condition does not hold, or an empty string.

    Raises TransientError or PermanentError when the target cannot be read.
    """
    if when.rollout_younger_than is None:
        return ""
    limit = format_duration(when.rollout_younger_than)
    workload = await services.kube.workload(target.kind, target.namespace, target.name)
    # When the last rollout last moved. A ReplicaSet's age would not do: a release that brings an
    # earlier template back reuses its ReplicaSet.
    if workload is None or workload.progressing_at is None:
        return f"no rollout is known, wanted one younger than {limit}"
    age = services.now() - workload.progressing_at
    if age < when.rollout_younger_than:
        return ""
    whole = timedelta(seconds=int(age.total_seconds()))
    return f"the last release is {format_duration(whole)} old, wanted one younger than {limit}"


async def verdict(
    services: Services, spec: ActionSpec[Section], run: Run, plan: Plan, unreadable: str
) -> Verdict:
    """Judge `plan` for `run` now. Steps that change nothing are allowed without a look."""
    if spec.role is not Role.EFFECT:
        return Allowed()
    situation = await _stored(services, run, unreadable)
    if not unreadable:
        situation = await _observed(services, spec, run, situation)
    limits, config = run.runbook.limits, services.policy.gate
    return judge(plan, situation, limits, config, now=services.now())


async def _stored(services: Services, run: Run, unreadable: str) -> Situation:
    now = services.now()
    async with services.store.reading() as tx:
        switch = await tx.switches.get("kill")
        others = await tx.runs.unfinished_on(run.target)
        effects = await tx.steps.effects_on(run.target, now - timedelta(days=1))
        cluster = await tx.steps.effects_since(now - timedelta(hours=1))
        incident = await tx.incidents.get(run.incident_id)
    is_automatic = run.requested_by in BY_MACHINE
    taken_over = [
        f"run {other.number} of {incident_name(other.incident_id)} by {other.requested_by}"
        for other in others
        if is_automatic and other.requested_by not in BY_MACHINE
    ]
    busy = [
        f"run {other.number} of {incident_name(other.incident_id)}"
        for other in others
        if other.status is RunStatus.RUNNING
        and (other.incident_id, other.number) != (run.incident_id, run.number)
    ]
    return Situation(
        mode=run.runbook.mode,
        kill_switch=switch is not None and switch.on,
        opted_out=False,
        exists=True,
        rollout_in_progress=False,
        busy_with=busy[0] if busy else "",
        held_by=incident.held_by if incident and is_automatic else "",
        taken_over_by=taken_over[0] if taken_over else "",
        target_effects=[at for at, _, _ in effects],
        target_effects_of_other_runs=[
            at
            for at, incident, number in effects
            if (incident, number) != (run.incident_id, run.number)
        ],
        cluster_effects=cluster,
        unreadable=unreadable,
    )


async def _observed(
    services: Services, spec: ActionSpec[Section], run: Run, situation: Situation
) -> Situation:
    target = run.target
    try:
        workload = await services.kube.workload(target.kind, target.namespace, target.name)
    except RunbookdError as error:
        return replace(situation, unreadable=str(error))
    if workload is None:
        return replace(situation, exists=False)
    return replace(
        situation,
        replaced=await _planned_uid(services, run) not in ("", workload.uid),
        opted_out=workload.annotations.get(OPT_OUT) == "false",
        rollout_in_progress=not workload.rolled_out and not spec.during_rollout,
    )


async def _planned_uid(services: Services, run: Run) -> str:
    """Return the uid of the object that the incident's first plan was about, or empty."""
    async with services.store.reading() as tx:
        records = await tx.steps.of_incident(run.incident_id)
    for record in records:
        precondition = (record.plan or {}).get("precondition")
        if isinstance(precondition, dict) and precondition.get("uid"):
            return str(precondition["uid"])
    return ""
