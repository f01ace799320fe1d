"""The two workflows. They interpret frozen data and hold no decision of their own.

`incident_v1` lives as long as its incident and never holds the target's lock; `remediate_v1` takes
one run through its steps, on a queue that lets one run at a time act on a target. Changed workflow
code gets a new name, and the old one stays until its last run has ended: recorded steps must match
when a workflow is replayed.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from responder.contract import Role
from responder.domain.incident import IncidentStatus
from responder.domain.plan import Outcome, RunResult
from responder.domain.planner import Done, Execute, Finish, next_command
from responder.domain.policy import Runbook, runbook_from_json, runbook_to_json
from responder.domain.values import JsonObject, run_workflow_id, workflow_id
from responder.engine import incidents, runs, steps
from responder.engine.patience import steadily
from responder.engine.services import Services, bound
from responder.engine.steps import StepRef

T = TypeVar("T")

TARGETS = "targets"
"""Queue of the runs, partitioned by target."""

TOPIC = "ctl"
"""Every message on it means: look again. What is true stands in the store, never in a message."""

ATTEMPTS = 3
"""How often a step is planned anew because its object changed between plan and effect."""


async def _do(work: Callable[[Services], Awaitable[T]]) -> T:
    """Do a step that is safe to do again: while the store is away, and in a shutdown to its end."""
    services = bound()
    async with services.in_flight.one():
        return await steadily(services, lambda: work(services))


@DBOS.step(name="tick")
async def _tick(incident_id: int) -> JsonObject:
    return await _do(lambda services: incidents.tick(services, incident_id))


@DBOS.step(name="begin")
async def _begin(incident_id: int, number: int) -> JsonObject:
    run = await _do(lambda services: runs.begin(services, incident_id, number))
    roles: JsonObject = {name: spec.role.value for name, spec in bound().actions.items()}
    hold = bound().policy.gate.hold.total_seconds()
    return {"runbook": runbook_to_json(run.runbook), "roles": roles, "hold": hold}


@DBOS.step(name="is_over")
async def _is_over(incident_id: int, number: int) -> bool:
    return await _do(lambda services: runs.is_over(services, incident_id, number))


@DBOS.step(name="now")
async def _now() -> str:
    return bound().now().isoformat()


@DBOS.step(name="judge")
async def _judge(incident: int, run: int, index: int, attempt: int) -> JsonObject:
    ref = StepRef(incident, run, index, attempt)
    return await _do(lambda services: steps.judge(services, ref))


@DBOS.step(name="intend")
async def _intend(incident: int, run: int, index: int, attempt: int) -> JsonObject:
    ref = StepRef(incident, run, index, attempt)
    return await _do(lambda services: steps.intend(services, ref))


@DBOS.step(name="perform")
async def _perform(
    incident: int, run: int, index: int, attempt: int, intent: JsonObject
) -> JsonObject:
    services = bound()
    async with services.in_flight.one():  # it waits for the store by itself, around the effect
        return await steps.perform(services, StepRef(incident, run, index, attempt), intent)


@DBOS.step(name="settle")
async def _settle(
    incident: int, run: int, index: int, attempt: int, intent: JsonObject
) -> JsonObject:
    services, ref = bound(), StepRef(incident, run, index, attempt)
    return await steadily(services, lambda: steps.settle(services, ref, intent))  # takes minutes


@DBOS.step(name="close")
async def _close(
    incident: int, run: int, index: int, attempt: int, outcome: str, reason: str
) -> JsonObject:
    ref = StepRef(incident, run, index, attempt)
    return await _do(lambda services: steps.close(services, ref, Outcome(outcome), reason))


@DBOS.step(name="end")
async def _end(incident_id: int, number: int, result: str, reason: str) -> None:
    ended = RunResult(result)
    await _do(lambda services: runs.end(services, incident_id, number, ended, reason))


@DBOS.workflow(name="incident_v1", max_recovery_attempts=1000)
async def incident_v1(incident_id: int) -> str:
    """Watch over one incident until it is over for good."""
    while True:
        due = await _tick(incident_id)
        if due["closed"]:
            return IncidentStatus.CLOSED.value
        waiting = due["runs"]
        for number in waiting if isinstance(waiting, list) else []:
            await enqueue_run(incident_id, int(str(number)), str(due["target"]))
        await DBOS.recv_async(TOPIC, timeout_seconds=float(str(due["wake_after"])))


@DBOS.workflow(name="remediate_v1", max_recovery_attempts=1000)
async def remediate_v1(incident_id: int, number: int) -> str:
    """Take one run through its frozen steps."""
    frozen = await _begin(incident_id, number)
    runbook, roles = _thaw(frozen)
    hold = timedelta(seconds=float(str(frozen["hold"])))
    done: list[Done] = []
    while True:
        resolved = await _is_over(incident_id, number)
        match next_command(runbook.steps, done, resolved=resolved, roles=roles):
            case Finish(result, reason):
                await _end(incident_id, number, result.value, reason)
                await poke(incident_id)
                return result.value
            case Execute(index, step):
                ref = StepRef(incident_id, number, index, 1)
                outcome, reason = await _execute(ref, hold)
                role = roles.get(step.action, Role.EFFECT.value)
                done.append(Done(step, role, Outcome(outcome), reason))


async def _execute(ref: StepRef, hold: timedelta) -> tuple[str, str]:
    """Take one step to its end; an object that changed meanwhile is planned for anew."""
    conflict = ""
    for attempt in range(1, ATTEMPTS + 1):
        at = (ref.incident, ref.run, ref.index, attempt)
        judged = await _judged(at, hold)
        if judged["state"] != "ready":
            return str(judged["state"]), str(judged["reason"])
        intent = await _intend(*at)
        performed = await _perform(*at, intent)
        if performed["state"] == "applied":
            settled = await _settle(*at, intent)
            return str(settled["state"]), str(settled["reason"])
        if performed["state"] != "conflict":
            ended = await _close(*at, str(performed["state"]), str(performed["reason"]))
            return str(ended["state"]), str(ended["reason"])
        conflict = str(performed["reason"])
    ended = await _close(ref.incident, ref.run, ref.index, ATTEMPTS, Outcome.FAILED.value, conflict)
    return str(ended["state"]), str(ended["reason"])


async def _judged(at: tuple[int, int, int, int], hold: timedelta) -> JsonObject:
    """Judge until the gate says yes or no, or the hold is over."""
    since: datetime | None = None
    while True:
        judged = await _judge(*at)
        if judged["state"] != Outcome.HELD.value:
            return judged
        now = datetime.fromisoformat(await _now())
        # A person's hold lasts until the person ends it; the gate's own begins after that.
        since = now if judged.get("held_by_a_person") else since or now
        left = (since + hold - now).total_seconds()
        if left <= 0:
            return await _close(*at, Outcome.HELD.value, f"still held: {judged['reason']}")
        recheck = float(str(judged["recheck_after"]))
        await DBOS.recv_async(TOPIC, timeout_seconds=max(0.1, min(recheck, left)))


def _thaw(frozen: JsonObject) -> tuple[Runbook, dict[str, str]]:
    runbook, roles = frozen["runbook"], frozen["roles"]
    if not isinstance(runbook, dict) or not isinstance(roles, dict):
        raise TypeError("a recorded run does not hold a runbook")
    return runbook_from_json(runbook), {name: str(role) for name, role in roles.items()}


async def start_incident(incident_id: int) -> None:
    """Start the incident's workflow; one that has started already is left alone."""
    with SetWorkflowID(workflow_id(incident_id)):
        await DBOS.start_workflow_async(incident_v1, incident_id)


async def enqueue_run(incident_id: int, number: int, target: str) -> None:
    """Queue a run behind the others of its target; one that is queued already is left alone."""
    with (
        SetWorkflowID(run_workflow_id(incident_id, number)),
        SetEnqueueOptions(queue_partition_key=target),
    ):
        await DBOS.enqueue_workflow_async(TARGETS, remediate_v1, incident_id, number)


async def poke(incident_id: int) -> None:
    """Tell the incident's workflow to look again."""
    await DBOS.send_async(workflow_id(incident_id), {"op": "look"}, TOPIC)


async def poke_run(incident_id: int, number: int) -> None:
    """Tell a run that waits at the gate to look again."""
    await DBOS.send_async(run_workflow_id(incident_id, number), {"op": "look"}, TOPIC)
