"""What goes wrong in a round, and how long nobody worked because of it."""

import asyncio
import re
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from exporter.shared.clock import SystemClock
from responder.engine.fleet import EVICTED
from tests.bed.bed import Bed, LocalProgram
from tests.bed.process import wait_until
from tests.chaos.counting import Expected

TAKE_OVER_SECONDS = 20.0
"""What a replica's death may cost: a lease of 15 s, a look each second, and the queue's poll."""

PENDING = (
    "SELECT executor_id FROM dbos.workflow_status"
    " WHERE name = 'remediate_v1' AND status = 'PENDING'"
)


clock = SystemClock()

Look = Callable[[Bed, Expected], Awaitable[list[str]]]


async def _no_more(_bed: Bed, _expected: Expected) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Blow:
    """A strike that has fallen."""

    what: str
    idle_seconds: float | None = None
    """From the strike until somebody worked again; None when nobody was at work."""
    after: Look = _no_more
    """Does what is left to do once the round is over; returns what went wrong in it."""


Strike = Callable[[Bed, Random], Awaitable[Blow]]


async def kill_alone(bed: Bed, _dice: Random) -> Blow:
    """Kill the only responder, and start it again as a kubelet would at once."""
    began = clock.monotonic()
    await bed.responder.kill()
    await bed.responder.start()
    return Blow("the responder killed", clock.monotonic() - began)


async def kill_worker(bed: Bed, dice: Random) -> Blow:
    """Kill the replica that works, wait for another to go on, and start it again."""
    worker, executor = await _worker(bed, dice)
    began = clock.monotonic()
    await worker.kill()
    idle = await _taken_over(bed, executor, began)
    await worker.start()
    return Blow(f"{worker.name} killed", idle)


async def freeze_worker(bed: Bed, dice: Random) -> Blow:
    """Freeze the replica that works, until the round is over."""
    worker, executor = await _worker(bed, dice)
    assert worker.process is not None
    began = clock.monotonic()
    worker.process.send(signal.SIGSTOP)
    idle = await _taken_over(bed, executor, began)

    async def thaw(bed: Bed, expected: Expected) -> list[str]:
        """Let it go on: it must end at once, having done nothing."""
        assert worker.process is not None
        told = len(bed.pager.received)
        worker.process.send(signal.SIGCONT)
        code = await worker.process.wait(10)
        wrong = await expected.mistakes(bed)
        if code != EVICTED:
            wrong.append(f"the thawed replica ended with {code}")
        if len(bed.pager.received) > told:
            wrong.append("the thawed replica told people something")
        await worker.start()
        return wrong

    return Blow(f"{worker.name} frozen", idle, thaw)


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


ON_ONE: Mapping[str, Strike] = {
    "kill": kill_alone,
    "alertmanager": restart_alertmanager,
    "prometheus": restart_prometheus,
}
ON_FLEET: Mapping[str, Strike] = {
    "kill-replica": kill_worker,
    "freeze-replica": freeze_worker,
    "alertmanager-of-replicas": restart_alertmanager,
    "prometheus-of-replicas": restart_prometheus,
    "postgres": crash_store,
}


async def _working(bed: Bed) -> str:
    """Return the executor of the run under way, or an empty string."""
    assert bed.fleet is not None
    rows = await bed.fleet.store.execute(PENDING, bed.places.store_dsn.rpartition("/")[2])
    return str(rows[0]["executor_id"]) if rows else ""


async def _worker(bed: Bed, dice: Random) -> tuple[LocalProgram, str]:
    """Return the replica that has the run under way, or any when there is none."""
    assert bed.fleet is not None
    executor = await _working(bed)
    for replica in bed.fleet.replicas:
        joined = re.findall(r'"replica": "([^"]+)", "event": "joined"', replica.log.read_text())
        if joined and joined[-1] == executor:
            return replica, executor
    return dice.choice(bed.fleet.replicas), ""


async def _taken_over(bed: Bed, executor: str, began: float) -> float | None:
    """Return after how many seconds another executor had the run; None when there was none."""
    if not executor:
        return None

    async def moved() -> bool:
        return await _working(bed) not in ("", executor)

    await wait_until(moved, TAKE_OVER_SECONDS, "another replica goes on")
    return clock.monotonic() - began


async def strike_later(
    strike: Strike, bed: Bed, dice: Random, moment: timedelta, *, in_run: bool
) -> Blow:
    """Strike at a moment counted from now, or from when a run is under way."""
    if in_run:
        await wait_until(lambda: _working(bed), 60, "a run is under way")
    await asyncio.sleep(moment.total_seconds())
    return await strike(bed, dice)
