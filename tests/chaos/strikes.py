"""What goes wrong in a round, and how long nobody worked because of it."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path
from random import Random

from exporter.shared.clock import SystemClock
from responder.engine.fleet import EVICTED
from tests.bed.bed import Bed, LocalProgram
from tests.bed.process import wait_until
from tests.chaos import claims
from tests.chaos.claims import Claim

GO_ON_SECONDS = 5.0
"""What a crash of the only responder may cost: it starts again, and looks into its files."""

TAKE_OVER_SECONDS = 5.0
"""What a replica's death may cost beside its lease: a look each second, and the queue's poll."""

PATIENCE_SECONDS = 60.0
"""How long is waited for somebody to go on before the round is given up."""

clock = SystemClock()

Look = Callable[[Bed], Awaitable[list[str]]]


async def _no_more(_bed: Bed) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Blow:
    """A strike that has fallen."""

    what: str
    idle_seconds: float | None = None
    """From the strike until somebody worked again; None when nobody was at work."""
    may_take: float | None = None
    """How many seconds that may be."""
    after: Look = _no_more
    """Does what is left to do once the round is over; returns what went wrong in it."""

    @property
    def too_slow(self) -> list[str]:
        """Return what is wrong with the time to go on."""
        if self.idle_seconds is None or self.may_take is None or self.idle_seconds <= self.may_take:
            return []
        return [f"nobody worked for {self.idle_seconds:.1f} s, {self.may_take:g} s at most"]


class When(Enum):
    """When a strike falls."""

    ANY_TIME = auto()
    """From the cause until the run is about to end."""
    IN_RUN = auto()
    """While a run is under way."""
    AT_EFFECT = auto()
    """When the target has been changed and the answer that says so is lost."""


@dataclass(frozen=True, slots=True)
class Strike:
    """Something that goes wrong."""

    fall: Callable[[Bed, Random], Awaitable[Blow]]
    when: When
    causes: tuple[str, ...] = ("release", "restart")


async def kill_alone(bed: Bed, _dice: Random) -> Blow:
    """Kill the only responder, and start it again as a kubelet would at once."""
    claim = await claims.under_way(bed)
    began = clock.monotonic()
    await bed.responder.kill()
    await bed.responder.start()
    idle = await _idle(bed, claim, began) if claim else clock.monotonic() - began
    return Blow("the responder killed", idle - _starved(bed), GO_ON_SECONDS)


async def kill_worker(bed: Bed, dice: Random) -> Blow:
    """Kill the replica that works, wait for another to go on, and start it again."""
    worker, claim = await _worker(bed, dice)
    began = clock.monotonic()
    await worker.kill()
    idle = await _idle(bed, claim, began) if claim else None
    await worker.start()
    return Blow(f"{worker.name} killed", idle, _taken_over_within(bed))


async def freeze_worker(bed: Bed, dice: Random) -> Blow:
    """Freeze the replica that works, until the round is over."""
    worker, claim = await _worker(bed, dice)
    assert worker.process is not None
    began = clock.monotonic()
    worker.process.send(signal.SIGSTOP)
    idle = await _idle(bed, claim, began) if claim else None

    async def thaw(bed: Bed) -> list[str]:
        """Let it go on: it must end at once, having done nothing."""
        assert worker.process is not None
        told = len(bed.pager.received)
        worker.process.send(signal.SIGCONT)
        code = await worker.process.wait(10)
        wrong = [] if code == EVICTED else [f"the thawed replica ended with {code}"]
        if again := _told_again(bed, told):
            wrong.append(f"people were told again: {', '.join(again)}")
        await worker.start()
        return wrong

    return Blow(f"{worker.name} frozen", idle, _taken_over_within(bed), thaw)


async def restart_alertmanager(bed: Bed, _dice: Random) -> Blow:
    """Stop Alertmanager and start it again; what it knew only in memory is gone."""
    await bed.alertmanager.restart()
    return Blow("Alertmanager restarted")


async def restart_prometheus(bed: Bed, _dice: Random) -> Blow:
    """Stop Prometheus and start it again on its data."""
    await bed.prometheus.restart()
    return Blow("Prometheus restarted")


async def crash_store(bed: Bed, dice: Random) -> Blow:
    """Crash the PostgreSQL that holds the responders' state, for less than a lease."""
    assert bed.fleet is not None
    outage = timedelta(seconds=dice.uniform(0.5, 8.0))
    await bed.fleet.store.crash(outage)
    return Blow(f"PostgreSQL away for {outage.total_seconds():.1f} s")


RELEASE = ("release",)
AROUND = {
    "alertmanager": Strike(restart_alertmanager, When.ANY_TIME, RELEASE),
    "prometheus": Strike(restart_prometheus, When.ANY_TIME, RELEASE),
}
ON_ONE: Mapping[str, Strike] = {
    "kill": Strike(kill_alone, When.ANY_TIME),
    "kill at effect": Strike(kill_alone, When.AT_EFFECT),
    **AROUND,
}
ON_FLEET: Mapping[str, Strike] = {
    "kill": Strike(kill_worker, When.IN_RUN),
    "kill at effect": Strike(kill_worker, When.AT_EFFECT),
    "freeze": Strike(freeze_worker, When.IN_RUN),
    "freeze at effect": Strike(freeze_worker, When.AT_EFFECT),
    "postgres": Strike(crash_store, When.ANY_TIME, RELEASE),
    **AROUND,
}


async def _worker(bed: Bed, dice: Random) -> tuple[LocalProgram, Claim | None]:
    """Return the replica that has the run under way, or any when there is none."""
    assert bed.fleet is not None
    claim = await claims.under_way(bed)
    replica = claims.replica_of(bed, claim.executor) if claim else None
    return (replica, claim) if replica else (dice.choice(bed.fleet.replicas), None)


def _taken_over_within(bed: Bed) -> float:
    return bed.places.store_lease.total_seconds() + TAKE_OVER_SECONDS


def _starved(bed: Bed) -> float:
    """Return how many seconds the responder has been ready to run and had no processor.

    They are the machine's, not the responder's: the second figure of the kernel's
    /proc/PID/schedstat, in nanoseconds.
    """
    program = bed.responder
    assert isinstance(program, LocalProgram)
    assert program.process is not None
    waited = Path(f"/proc/{program.process.pid}/schedstat").read_text().split()[1]
    return int(waited) / 1e9


async def _idle(bed: Bed, claim: Claim, began: float) -> float:
    """Return after how many seconds somebody had the run."""
    await wait_until(lambda: claims.went_on(bed, claim), PATIENCE_SECONDS, "somebody goes on")
    return clock.monotonic() - began


def _told_again(bed: Bed, told: int) -> list[str]:
    """Return the messages after the first `told` that had been received before."""
    names = [f"{it.path} {it.headers.get('Idempotency-Key')}" for it in bed.pager.received]
    return [name for name in names[told:] if name in names[:told]]
