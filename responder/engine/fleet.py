"""One replica among others: its lease, and the take-over of what dead ones left.

The engine's library recovers after a restart what the same executor left, and nothing of another's.
So every boot is an executor of its own with a lease in the store, and whoever watches the leases
evicts those that are not renewed and moves their workflows onto a queue of the living. A replica
that lost its lease ends its process at once: it writes nothing (the store refuses it), and makes
no effect (`hold` is asked right before each). What a frozen one may still do, between that question
and the effect, the target's own precondition refuses.
"""

import asyncio
import fcntl
import os
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NoReturn, Protocol

from dbos import DBOS

from exporter.shared.clock import Clock
from exporter.shared.errors import RunbookdError
from exporter.shared.log import get_log
from exporter.shared.tasks import cancel
from responder.metrics import ResponderMetrics
from responder.store.database import Store

log = get_log(__name__)

ORPHANS = "orphans"
"""Queue onto which workflows are moved that were on none: those that watch over incidents."""

RENEWALS = 4
"""Renewals in the time of a lease: three may fail."""

ADOPT_EVERY = timedelta(seconds=10)
"""How often is looked for workflows of nobody though no lease came or went."""

BATCH = 100
"""Workflows moved at once."""

EVICTED = 75
"""Exit code of a process that lost its lease: EX_TEMPFAIL of sysexits.h, start it again."""


class Membership(Protocol):
    """The place of this process among those that work on the same store."""

    @property
    def executor(self) -> str:
        """Name under which the engine records what this process works on."""
        ...

    @property
    def leads(self) -> bool:
        """Say whether it is this process that does what one alone should do."""
        ...

    async def join(self) -> None:
        """Take the place, before the engine is launched. Raises RunbookdError."""
        ...

    async def hold(self) -> None:
        """Return when the place is surely still held; asked right before every effect.

        Ends the process when it is lost. Raises TransientError while nobody can tell.
        """
        ...

    async def take_over(self) -> int:
        """Go on with what dead ones left; returns how many workflows were moved."""
        ...

    async def leave(self) -> None:
        """Give the place back, once nothing is worked on any more."""
        ...


class Alone:
    """The only process on its files, held by a lock that the kernel releases when it dies."""

    executor = "local"
    leads = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1

    async def join(self) -> None:
        """Lock the data directory. Raises RunbookdError when another process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise RunbookdError(f"another responder works in {self._path.parent}") from error
        self._lock = lock

    async def hold(self) -> None:
        """The kernel holds it."""

    async def take_over(self) -> int:
        """The engine's library takes up by itself what the same executor left."""
        return 0

    async def leave(self) -> None:
        """Unlock."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@dataclass(slots=True)
class _Seen:
    """A lease as this process has watched it."""

    renewals: int
    since: float
    """By this process' monotonic clock: when this number of renewals was first seen."""


@dataclass
class Replica:
    """One of several processes on one PostgreSQL."""

    store: Store
    clock: Clock
    metrics: ResponderMetrics
    executor: str
    """Unique to this boot."""
    lease: timedelta
    leads: bool = False
    _renewed_at: float = float("-inf")
    """Monotonic: when the last renewal that went through was begun."""
    _task: asyncio.Task[None] | None = None
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _living: frozenset[str] = frozenset()
    _adopted_at: float = float("-inf")

    async def join(self) -> None:
        """Take the lease and renew it from now on."""
        began = self.clock.monotonic()
        async with self.store.aside() as tx:
            await tx.leases.take(self.executor, self.clock.now())
        self._renewed_at = began
        self.store.fence(self.executor, lambda: self._end("the store refuses it"))
        self._task = asyncio.create_task(self._renew_forever(), name="lease")
        log.info("joined", replica=self.executor)

    async def hold(self) -> None:
        """Return at once while the lease is half fresh; later it is renewed first."""
        if self.clock.monotonic() - self._renewed_at > self.lease.total_seconds() / 2:
            await self._renew()

    async def leave(self) -> None:
        """Give the lease back, so that the others need not wait for its end."""
        if self._task is not None:
            await cancel(self._task)
        async with self.store.aside() as tx:
            await tx.leases.give_back(self.executor)

    async def take_over(self) -> int:
        """Evict who was silent for as long as a lease lasts, then adopt what nobody works on."""
        try:
            async with self.store.aside() as tx:
                leases = await tx.leases.all()
        except RunbookdError:
            self._seen.clear()  # nobody could renew either: everybody gets a whole lease anew
            raise
        now = self.clock.monotonic()
        self._watch(leases, now)
        dead = [
            executor
            for executor, seen in self._seen.items()
            if executor != self.executor and now - seen.since > self.lease.total_seconds()
        ]
        for executor in dead:
            await self._evict(executor)
        living = frozenset(self._seen)
        self.leads = self.executor == next(iter(leases), "")
        self.metrics.replicas.set(len(living))
        if living == self._living and now - self._adopted_at < ADOPT_EVERY.total_seconds():
            return 0
        moved = await self._adopt()
        self._living, self._adopted_at = living, now
        return moved

    def _watch(self, leases: dict[str, int], now: float) -> None:
        before = self._seen
        self._seen = {
            executor: before[executor]
            if executor in before and before[executor].renewals == renewals
            else _Seen(renewals, now)
            for executor, renewals in leases.items()
        }

    async def _evict(self, executor: str) -> None:
        seen = self._seen[executor]
        async with self.store.transaction() as tx:
            evicted = await tx.leases.evict(executor, seen.renewals)
        if evicted:
            del self._seen[executor]
            self.metrics.evictions.inc()
            log.warning("replica_evicted", replica=executor)

    async def _adopt(self) -> int:
        """Move what is pending with an executor that has no lease.

        One replica at a time, in a transaction that keeps the others out: moved a second time, a
        workflow would run twice at once.
        """
        async with self.store.transaction() as tx:
            living = await tx.leases.all()
            pending = await DBOS.list_workflows_async(
                status="PENDING", load_input=False, load_output=False
            )
            left: dict[str, list[str]] = {}
            for workflow in pending:
                if workflow.executor_id not in living:
                    queue = workflow.queue_name or ORPHANS
                    left.setdefault(queue, []).append(workflow.workflow_id)
            for queue, ids in left.items():
                for start in range(0, len(ids), BATCH):
                    await tx.leases.holds(self.executor)  # fails once our turn is over
                    await DBOS.resume_workflows_async(ids[start : start + BATCH], queue_name=queue)
        moved = sum(map(len, left.values()))
        if moved:
            self.metrics.workflows_taken_over.inc(moved)
            log.warning("workflows_taken_over", workflows=moved)
        return moved

    async def _renew_forever(self) -> None:
        failing = False
        while True:
            await self.clock.sleep(self.lease / RENEWALS)
            try:
                await self._renew()
            except RunbookdError as error:
                if not failing:
                    log.warning("lease_not_renewed", error=str(error))
                failing = True
            else:
                failing = False

    async def _renew(self) -> None:
        """Renew the lease. Raises TransientError when the store cannot be asked."""
        began = self.clock.monotonic()
        async with self.store.aside() as tx:
            held = await tx.leases.renew(self.executor, self.clock.now())
        if not held:
            self._end("it was evicted")
        self._renewed_at = began

    def _end(self, why: str) -> NoReturn:
        """End the process here and now, whatever else it is about to do."""
        log.error("lease_lost", replica=self.executor, why=why)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EVICTED)
