"""One step of a run: judged, intended, applied and settled, each safe to do again after a crash.

`judge`, `intend`, `perform` and `settle` are the recorded steps of the workflow. A crash between
two of them costs nothing; a crash inside `perform` is the one that matters, and there the new
incarnation probes the target before it repeats anything.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from exporter.shared.config import Section
from exporter.shared.errors import ConflictError, PermanentError, RunbookdError, TransientError
from responder.contract import Action, ActionSpec, Role, StepContext
from responder.domain.gate import Allowed, Held, Reason, Refused, Verdict, verdict_to_json
from responder.domain.incident import Incident, Run, StepRecord
from responder.domain.plan import (
    Outcome,
    Plan,
    Probe,
    Settled,
    SettledState,
    plan_from_json,
    plan_to_json,
)
from responder.domain.policy import StepDef
from responder.domain.values import JsonObject, action_key
from responder.engine import facts, judging, messages, runs
from responder.engine.patience import steadily
from responder.engine.services import Services
from responder.store.database import Transaction

TRIES = 5
"""How often an effect is tried while the API server answers with errors that may pass."""

BACKOFF = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class StepRef:
    """Names one attempt at one step of one run."""

    incident: int
    run: int
    index: int
    attempt: int


@dataclass(slots=True)
class _Step:
    """A step with everything that it needs, as read from the store."""

    services: Services
    incident: Incident
    run: Run
    definition: StepDef
    spec: ActionSpec[Section]
    params: Section
    record: StepRecord
    attachments: dict[str, str]
    notices: list[tuple[tuple[str, ...], str]]

    @property
    def action(self) -> Action[Section]:
        return self.spec.action

    def context(self, intent_at: datetime | None = None) -> StepContext:
        now = self.services.now()
        return StepContext(
            key=self.record.key,
            incident_id=self.incident.id,
            labels=self.incident.labels,
            intent_at=intent_at or now,
            now=now,
            kube=self.services.kube,
            writer=self.services.writer,
            metrics=self.services.query,
            databases=self.services.databases,
            attach=self.attachments.__setitem__,
            notify=lambda receivers, text: self.notices.append((tuple(receivers), text)),
        )

    async def plan(self) -> Plan:
        return await self.action.plan(self.run.target, self.params, self.context())

    @property
    def planned(self) -> Plan:
        if self.record.plan is None:
            raise PermanentError(f"{self.record.key} was never planned")
        return plan_from_json(self.record.plan)


async def judge(services: Services, ref: StepRef) -> JsonObject:
    """Plan the step and put the plan before the gate, by what is true now.

    Returns `state`: `ready`, `skipped`, `refused`, `held` (with `recheck_after` seconds) or
    `failed`, and `reason`.
    """
    step = await _load(services, ref)
    if step.spec.role is Role.EFFECT and await runs.is_over(services, ref.incident, ref.run):
        return await _close(step, Outcome.SKIPPED, "resolved before it")
    try:
        skip = await judging.unmet(services, step.run.target, step.definition.when)
        if skip:
            return await _close(step, Outcome.SKIPPED, skip)
        plan = await step.plan()
        unreadable = ""
    except TransientError as error:
        plan, unreadable = (
            judging.unreadable_plan(step.definition.action, step.run.target),
            str(error),
        )
    except PermanentError as error:
        return await _close(step, Outcome.REFUSED, str(error))
    verdict = await judging.verdict(services, step.spec, step.run, plan, unreadable)
    await _store_verdict(step, plan, verdict)
    match verdict:
        case Allowed():
            return {"state": "ready", "reason": ""}
        case Held(reason, recheck_after, detail):
            return {
                "state": "held",
                "reason": f"{reason.value} {detail}".strip(),
                "recheck_after": recheck_after.total_seconds(),
                "held_by_a_person": reason is Reason.HELD_BY_A_PERSON,
            }
        case Refused(reason, detail):
            return await _close(step, Outcome.REFUSED, f"{reason.value} {detail}".strip())


async def intend(services: Services, ref: StepRef) -> JsonObject:
    """Record that the effect is about to be made; cooldowns and budgets count from here."""
    step = await _load(services, ref)
    now = services.now()
    async with services.store.transaction() as tx:
        await tx.steps.put(replace(step.record, intent_at=now, boot=services.boot))
    return {"at": now.isoformat(), "boot": services.boot}


async def perform(services: Services, ref: StepRef, intent: JsonObject) -> JsonObject:
    """Make the planned effect once. Returns `state`: applied, conflict, failed or unknown.

    When the store is away before or after, only that part is waited for and done again.
    """
    step = await steadily(services, lambda: _load(services, ref))
    at = datetime.fromisoformat(str(intent["at"])).astimezone(UTC)
    crashed = intent["boot"] != services.boot and step.spec.role is Role.EFFECT
    before = await _probe(step, at) if crashed else Probe.NOT_APPLIED
    match before:
        case Probe.APPLIED:
            state, reason = "applied", "an earlier incarnation had applied it"
        case Probe.UNKNOWN:
            state, reason = "unknown", "a crash hid whether it was applied; it is not repeated"
        case _:
            state, reason = await _apply(step, at)
    if state == "applied":
        await steadily(services, lambda: _store_applied(step, reason, at))
    return {"state": state, "reason": reason}


async def settle(services: Services, ref: StepRef, intent: JsonObject) -> JsonObject:
    """Wait until what was applied is done, by wall-clock from the intent; safe to start again."""
    step = await _load(services, ref)
    at = datetime.fromisoformat(str(intent["at"])).astimezone(UTC)
    deadline = at + step.spec.timeout(step.params)
    while True:
        await services.in_flight.go_on()
        settled = await _look(step, at)
        if settled.state is not SettledState.PENDING:
            break
        if services.now() >= deadline:
            settled = replace(
                settled,
                state=SettledState.FAILED,
                detail=f"not done in time: {settled.detail}",
            )
            break
        await services.clock.sleep(step.spec.poll)
    outcome = {
        SettledState.DONE: Outcome.DONE,
        SettledState.FAILED: Outcome.FAILED,
        SettledState.CANNOT_TELL: Outcome.CANNOT_TELL,
    }[settled.state]
    return await _close(step, outcome, settled.detail, settled.facts)


async def close(services: Services, ref: StepRef, outcome: Outcome, reason: str) -> JsonObject:
    """End a step that did not come to be settled."""
    return await _close(await _load(services, ref), outcome, reason)


async def look_again(
    services: Services, incident: Incident, run: Run, definition: StepDef
) -> Settled:
    """Take one fresh look with a verify step of `run`, as if its wait were long over."""
    spec = services.actions[definition.action]
    params = spec.params.model_validate(definition.params)
    record = StepRecord(incident.id, run.number, 0, "look", definition.action, run.target)
    step = _Step(services, incident, run, definition, spec, params, record, {}, [])
    long_ago = services.now() - spec.timeout(params)
    plan = await step.plan()
    return await step.action.settled(plan, params, step.context(long_ago))


async def _load(services: Services, ref: StepRef) -> _Step:
    async with services.store.reading() as tx:
        incident = await tx.incidents.get(ref.incident)
        run = await tx.runs.get(ref.incident, ref.run)
        records = await tx.steps.of_run(ref.incident, ref.run)
    if incident is None or run is None:
        raise PermanentError(f"incident {ref.incident} has no run {ref.run}")
    definition = run.runbook.steps[ref.index]
    spec = services.actions.get(definition.action)
    if spec is None:
        raise PermanentError(f"this release has no action {definition.action!r}")
    number = run.first_step + ref.index
    key = action_key(ref.incident, number, ref.attempt)
    found = [record for record in records if record.key == key]
    record = (
        found[0]
        if found
        else StepRecord(
            incident_id=ref.incident,
            run=ref.run,
            step=number,
            key=key,
            action=definition.action,
            target=run.target,
            params=definition.params,
            effect=spec.role is Role.EFFECT,
        )
    )
    params = spec.params.model_validate(definition.params)
    return _Step(services, incident, run, definition, spec, params, record, {}, [])


async def _store_verdict(step: _Step, plan: Plan, verdict: Verdict) -> None:
    now = step.services.now()
    stored = verdict_to_json(verdict)
    step.record = replace(step.record, plan=plan_to_json(plan), verdict=dict(stored))
    async with step.services.store.transaction() as tx:
        await tx.steps.put(step.record)
        if step.spec.role is Role.EFFECT:
            await tx.timeline.add(step.incident.id, facts.planned(step.record.key, plan, now))
            await tx.timeline.add(
                step.incident.id, facts.judged(step.record.key, plan, stored, now)
            )
    if step.spec.role is Role.EFFECT:
        step.services.metrics.gate_verdicts.labels(stored["verdict"], stored["reason"]).inc()


async def _apply(step: _Step, at: datetime) -> tuple[str, str]:
    """Try until it is applied, refused for good, or can no longer be told."""
    last = ""
    for number in range(1, TRIES + 1):
        await steadily(step.services, step.services.fleet.hold)
        try:
            await step.action.apply(step.planned, step.params, step.context(at))
        except ConflictError as error:
            return "conflict", str(error)
        except PermanentError as error:
            return "failed", str(error)
        except TransientError as error:
            last = str(error)
            await step.services.clock.sleep(error.retry_after or number * BACKOFF)
            match await _probe(step, at):
                case Probe.APPLIED:
                    return "applied", "found applied after an error"
                case Probe.UNKNOWN:
                    return "unknown", f"nobody can say whether it was applied: {last}"
                case Probe.NOT_APPLIED:
                    continue
        else:
            return "applied", ""
    return "failed", last


async def _probe(step: _Step, at: datetime) -> Probe:
    for number in range(1, TRIES + 1):
        try:
            return await step.action.probe(step.planned, step.params, step.context(at))
        except TransientError as error:
            await step.services.clock.sleep(error.retry_after or number * BACKOFF)
        except RunbookdError:
            return Probe.UNKNOWN
    return Probe.UNKNOWN


async def _look(step: _Step, at: datetime) -> Settled:
    try:
        return await step.action.settled(step.planned, step.params, step.context(at))
    except TransientError as error:
        return Settled(SettledState.PENDING, f"could not look: {error}")
    except PermanentError as error:
        return Settled(SettledState.FAILED, str(error))


async def _queue_undo(tx: Transaction, step: _Step, at: datetime) -> None:
    undo = step.spec.undo(step.planned, step.params)
    if undo is not None:
        back = StepDef(step.definition.action, undo.params)
        await runs.create_undo(step.services, tx, step.run, back, at + undo.after)


async def _store_applied(step: _Step, how: str, at: datetime) -> None:
    now = step.services.now()
    async with step.services.store.transaction() as tx:
        for name, text in step.attachments.items():
            await tx.evidence.put(step.incident.id, step.record.key, name, text, now)
        for receivers, text in step.notices:
            message = messages.update(step.incident, step.record.key, text, "")
            await messages.queue(tx, receivers, message, now)
        if step.spec.role is Role.EFFECT:
            new = await tx.timeline.add(
                step.incident.id, facts.applied(step.record.key, step.planned, how, now)
            )
            if new:
                seconds = (now - step.incident.opened_at).total_seconds()
                step.services.metrics.time_to_act.observe(seconds)
                await _queue_undo(tx, step, at)


async def _close(
    step: _Step, outcome: Outcome, detail: str, found: JsonObject | None = None
) -> JsonObject:
    now = step.services.now()
    async with step.services.store.transaction() as tx:
        await tx.steps.put(
            replace(step.record, outcome=outcome, detail=detail, facts=found or {}, ended_at=now)
        )
        await tx.timeline.add(
            step.incident.id, facts.ended(step.record, step.spec.role, outcome, detail, found, now)
        )
    metrics = step.services.metrics
    if step.spec.role is Role.EFFECT:
        metrics.actions.labels(step.record.action, outcome.value).inc()
    if step.spec.role is Role.VERIFY and outcome is Outcome.DONE:
        metrics.time_to_verify.observe((now - step.incident.opened_at).total_seconds())
    return {"state": outcome.value, "reason": detail}
