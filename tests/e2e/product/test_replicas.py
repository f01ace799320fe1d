"""Scenarios on a real cluster with two replicas on PostgreSQL, of which one is lost in mid-run."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from tests.bed import real_bed, watch
from tests.bed.bed import Bed
from tests.bed.cluster.client import at
from tests.bed.cluster.real import RealCluster
from tests.bed.load import Load
from tests.bed.process import run_tool, wait_until
from tests.bed.real_bed import Ground
from tests.bed.release import NAMESPACE, RELEASE, RESPONDER, Helm
from tests.bed.scenario import discovered
from tests.bed.stage import FACTOR, RATE
from tests.bed.story import Story
from tests.chaos import claims
from tests.chaos.claims import Claim

pytestmark = [pytest.mark.timeout(420), pytest.mark.asyncio(loop_scope="session")]

TAKE_OVER_SECONDS = 20.0
"""What a replica's death may cost: a lease of 15 s, a look each second, and the queue's poll."""
KILLED = 137

clock = SystemClock()


@dataclass(frozen=True)
class Field:
    """Where a replica is lost."""

    cluster: RealCluster
    bed: Bed
    helm: Helm

    async def kubectl(self, *arguments: str) -> str:
        return await asyncio.to_thread(self.cluster.kubectl, f"--namespace={NAMESPACE}", *arguments)


async def kill(field: Field, pod: str) -> None:
    """Kill the container's process as the kernel does when memory runs out."""
    found = await field.cluster.get("Pod", NAMESPACE, pod)
    container = str(at(found, "status.containerStatuses.0.containerID")).partition("://")[2]
    command = field.cluster.places.ctr("tasks", "kill", "--signal", "SIGKILL", container)
    done = await asyncio.to_thread(run_tool, *command)
    assert done.returncode == 0, done.stderr

    async def seen() -> bool:
        found = await field.cluster.get("Pod", NAMESPACE, pod)
        code = at(found, "status.containerStatuses.0.lastState.terminated.exitCode")
        return code == KILLED

    await wait_until(seen, 20, "the kubelet has seen it killed")


async def delete(field: Field, pod: str) -> None:
    """Delete the pod without a time to end in; its Deployment makes another at once."""
    await field.kubectl("delete", "pod", pod, "--grace-period=0", "--force")


async def upgrade(field: Field, pod: str) -> None:
    """Have helm migrate beside both replicas, then replace the one after the other."""
    more = "responder.podAnnotations.release=two"
    await field.helm.install(field.bed.root / "values.yaml", "--set-string", more)

    async def gone() -> bool:
        return await field.cluster.get("Pod", NAMESPACE, pod) is None

    await wait_until(gone, 60, "the replica that had the run has ended")
    await _as_installed(field, revision=2)


@dataclass(frozen=True)
class Blow:
    """How the replica at work is lost, when, and within how many seconds another goes on."""

    strike: Callable[[Field, str], Awaitable[None]]
    changes: int
    """Of the Deployment's spec, when it falls: one for the release, one for the only effect."""
    within: float | None = None


BLOWS = {
    "bad-release": Blow(kill, changes=2, within=TAKE_OVER_SECONDS),
    "crash-loop": Blow(delete, changes=2, within=TAKE_OVER_SECONDS),
    "slow-release": Blow(upgrade, changes=1),
}


@pytest.mark.parametrize("name", BLOWS)
async def test_a_scenario_ends_as_it_should_though_the_replica_at_work_is_lost(
    name: str, ground: Ground, tmp_path: Path, table: dict[str, str]
) -> None:
    scenario, blow = discovered()[name], BLOWS[name]
    shown = f"{name}, {blow.strike.__name__}"
    story = Story(clock, label=name)
    async with real_bed.start(ground, tmp_path, factor=FACTOR, responders=2) as bed:
        field = Field(ground.cluster, bed, Helm(ground.cluster, tmp_path / "helm"))
        await _as_installed(field, revision=1)
        urls = [f"{bed.places.probe_url}/tasks"]
        async with Load.start(lambda: urls, rate=RATE):
            await watch.until_healthy(bed, scenario.kpi)
            before = await _generation(bed)
            async with asyncio.TaskGroup() as group:
                group.create_task(_lose(field, story, blow, before + blow.changes))
                ended_well = await scenario.play(bed, story)
            changes = await _generation(bed) - before
    table[shown] = story.row(shown, FACTOR)
    assert ended_well, "\n".join(story.lines)
    assert changes == 2, "the release and one effect"


async def _as_installed(field: Field, revision: int) -> None:
    """Assert that the hook has migrated, and that two replicas are ready, one of them kept."""
    release = json.loads(await field.helm.run("status", RELEASE, "--output=json"))
    assert release["version"] == revision
    (job,) = [hook for hook in release["hooks"] if hook["kind"] == "Job"]
    assert (job["name"], job["last_run"]["phase"]) == (f"{RESPONDER}-migrate", "Succeeded")
    found = await field.cluster.get("Deployment", NAMESPACE, RESPONDER)
    assert [at(found, f"status.{name}eplicas") for name in ("r", "updatedR", "readyR")] == [2, 2, 2]
    budget = await field.cluster.get("PodDisruptionBudget", NAMESPACE, RESPONDER)
    assert at(budget, "status.disruptionsAllowed") == 1


async def _lose(field: Field, story: Story, blow: Blow, generation: int) -> None:
    """Strike once the Deployment has that generation and a run is under way; see it go on."""
    bed = field.bed

    async def due() -> Claim | None:
        return await claims.under_way(bed) if await _generation(bed) >= generation else None

    claim = await wait_until(due, 120, "a run is under way, and its effect made if one is due")
    assert claim is not None
    pod = claim.executor.rpartition("-")[0]

    async def taken_over(within: float) -> None:
        await wait_until(lambda: claims.went_on(bed, claim), within, "another replica goes on")
        seconds, other = clock.monotonic() - began, await claims.under_way(bed)
        story.tell("moved", f"{other and other.executor} goes on after {seconds:.1f} s")

    began = clock.monotonic()
    story.tell("blow", f"{blow.strike.__name__}: {pod}, which has the run", style="magenta")
    async with asyncio.TaskGroup() as group:
        if blow.within is not None:
            group.create_task(taken_over(blow.within))
        await blow.strike(field, pod)


async def _generation(bed: Bed) -> int:
    found = await watch.generation(bed)
    assert isinstance(found, int)
    return found
