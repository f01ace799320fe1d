"""The engine as the rest of the responder sees it: start, wake, run, preview, stop."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from dbos import DBOS

from exporter.shared.errors import RunbookdError
from exporter.shared.log import get_log
from responder.domain.incident import Incident, IncidentStatus, Run
from responder.domain.policy import Runbook
from responder.domain.reconciliation import Memory
from responder.domain.values import Target
from responder.engine import people, runs, workflows
from responder.engine.auditor import audit
from responder.engine.inbox import process_inbox
from responder.engine.launch import launch
from responder.engine.outbox import deliver_due
from responder.engine.reconciliation import reconcile
from responder.engine.retention import prune
from responder.engine.services import Services, bind

log = get_log(__name__)

IDLE = timedelta(seconds=1)
"""How long inbox and outbox wait for a wake-up before they look by themselves."""

WATCH = timedelta(seconds=1)
"""How often a replica looks after the others; adds to the time of a take-over."""

PRUNE = timedelta(hours=1)
"""How often is looked for what is past its time: so much longer it may be kept."""

RECORDING = timedelta(milliseconds=200)
"""What the library gets to record steps that have just ended."""

PRESSURE = timedelta(milliseconds=50)
"""Deliveries that follow each other this closely are a burst, which must not wait."""

SHARE = 4
"""In a burst the inbox is left alone so many times as long as it was worked on."""

LONGEST_PAUSE = timedelta(milliseconds=500)


@dataclass(slots=True)
class Engine:
    """Runs the workflows and the loops beside them, in one process, on the running event loop."""

    services: Services
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _inbox: asyncio.Event = field(default_factory=asyncio.Event)
    _outbox: asyncio.Event = field(default_factory=asyncio.Event)
    _delivered_at: float = float("-inf")
    _roused: bool = False
    _pruned_at: float = float("-inf")
    _memory: Memory = field(default_factory=Memory)

    async def start(self) -> None:
        """Launch the engine and take up what an earlier incarnation left.

        Raises RunbookdError when another process holds the data directory, or when the engine's
        own tables are old.
        """
        bind(self.services)
        await self.services.fleet.join()
        await launch(self.services)
        self._loop("fleet", self._work_fleet, asyncio.Event(), WATCH)
        self._loop("inbox", self._work_inbox, self._inbox, IDLE)
        self._loop("outbox", self._work_outbox, self._outbox, IDLE)
        pause = self.services.settings.engine.audit_interval
        self._loop("auditor", self._work_audit, asyncio.Event(), pause)
        every = self.services.settings.engine.reconcile_interval
        self._loop("reconciliation", self._work_reconciliation, asyncio.Event(), every)
        self._loop("retention", self._work_retention, asyncio.Event(), pause)

    async def stop(self) -> None:
        """Stop the loops, let steps in flight finish for a while, and leave the fleet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.services.in_flight.close(self.services.settings.engine.shutdown)
        await self.services.clock.sleep(RECORDING)
        # In a thread, since the library's own threads need the loop to end.
        await asyncio.to_thread(DBOS.destroy)
        await self.services.fleet.leave()

    @property
    def broken(self) -> list[str]:
        """Which loops have ended by themselves; a failing one goes on and is none of them."""
        return [task.get_name() for task in self._tasks if task.done()]

    def delivered(self) -> None:
        """Say that a delivery was committed."""
        self._delivered_at = self.services.clock.monotonic()
        self._inbox.set()

    async def _give_way(self, spent: timedelta) -> None:
        """While deliveries come in, leave the webhook most of the time.

        What came while the inbox was worked on waited for it, and is stored only now.
        """
        since = self.services.clock.monotonic() - self._delivered_at
        if since < (PRESSURE + spent).total_seconds():
            await self.services.clock.sleep(min(SHARE * spent, LONGEST_PAUSE))

    async def resolve(self, incident_id: int, by: str, why: str) -> Incident | None:
        """End an incident by a person's word; None when there is none or it is over."""
        return await self._woken(await people.resolve(self.services, incident_id, by, why))

    async def resume(self, incident_id: int, by: str) -> Incident | None:
        """Let a held incident's automation go on; None when there is no such incident."""
        return await self._woken(await people.resume(self.services, incident_id, by))

    async def report(self, told: people.Report, by: str) -> Incident:
        """Open an incident for what a person reports, or join the one of its target."""
        incident = await people.report(self.services, told, by)
        await self.wake(incident.id)
        return incident

    async def run(self, runbook: Runbook, target: Target, by: str) -> Run:
        """Start a person's run: on the target's live incident, or on one opened for it."""
        services, now = self.services, self.services.now()
        async with services.store.transaction() as tx:
            incident = await tx.incidents.live_for(services.settings.cluster, target)
            if incident is None:
                opened = Incident(
                    id=0,
                    status=IncidentStatus.OPEN,
                    cluster=services.settings.cluster,
                    target=target,
                    title=f"{runbook.name} on {target}, run by {by}",
                    severity="info",
                    labels={},
                    opened_at=now,
                    runbook=None,
                    escalation=(),
                )
                incident = await tx.incidents.open(opened)
            elif incident.status is IncidentStatus.RESOLVED:
                await tx.incidents.reopen(incident.id, now)
            run = await runs.create(services, tx, incident, runbook, requested_by=by)
        await self.wake(incident.id)
        return run

    async def _woken(self, incident: Incident | None) -> Incident | None:
        if incident is not None:
            await self.wake(incident.id)
        return incident

    async def wake(self, incident_id: int) -> None:
        """Make the incident's workflow look again, starting it where it has not begun."""
        await workflows.start_incident(incident_id)
        await workflows.poke(incident_id)
        async with self.services.store.reading() as tx:
            known = await tx.runs.of_incident(incident_id)
        for run in known:
            if run.started_at and not run.ended_at:
                await workflows.poke_run(incident_id, run.number)
        self._outbox.set()

    async def _work_inbox(self) -> None:
        for incident_id in sorted(await process_inbox(self.services, self._give_way)):
            await self.wake(incident_id)

    async def _work_outbox(self) -> None:
        await deliver_due(self.services)

    async def _work_fleet(self) -> None:
        if await self.services.fleet.take_over() or not self._roused:
            await self._rouse()

    async def _rouse(self) -> None:
        """Make every live incident look: a crash may have lost the word that something is new."""
        async with self.services.store.reading() as tx:
            live = await tx.incidents.open_ids()
        for incident_id in live:
            await self.wake(incident_id)
        self._roused = True

    async def _work_audit(self) -> None:
        if not self.services.fleet.leads:
            return
        for finding in await audit(self.services):
            log.warning("audit", finding=finding.finding, what=finding.what)

    async def _work_reconciliation(self) -> None:
        if not (self.services.fleet.leads and self.services.alertmanagers.urls):
            self._memory = Memory()
            return
        self._memory = await reconcile(self.services, self._memory)
        self._inbox.set()

    async def _work_retention(self) -> None:
        began = self.services.clock.monotonic()
        if self.services.fleet.leads and began - self._pruned_at >= PRUNE.total_seconds():
            await prune(self.services)
            self._pruned_at = began

    def _loop(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        event: asyncio.Event,
        idle: timedelta,
    ) -> None:
        self._tasks.append(asyncio.create_task(_forever(name, work, event, idle), name=name))


async def _forever(
    name: str, work: Callable[[], Awaitable[None]], event: asyncio.Event, idle: timedelta
) -> None:
    """Work, then wait for a wake-up or `idle`; a failure is logged and the loop goes on."""
    failing = False
    while True:
        try:
            await work()
        except RunbookdError as error:
            if not failing:
                log.warning("loop_failing", loop=name, error=str(error))
            failing = True
        except Exception:  # the supervised loop: one bad row must not end intake
            log.exception("loop_failed", loop=name)
            failing = True
        else:
            if failing:
                log.info("loop_recovered", loop=name)
            failing = False
        try:
            async with asyncio.timeout(idle.total_seconds()):
                await event.wait()
        except TimeoutError:
            pass
        event.clear()
