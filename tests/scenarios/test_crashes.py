"""The responder is killed at the worst moments: every effect is made once, no incident is lost."""

import random
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from responder.domain.values import Json, JsonObject
from tests.bed import bed as beds
from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.cluster.interface import Fault
from tests.bed.dice import KILLS, SEED
from tests.bed.load import Load
from tests.bed.process import wait_until
from tests.bed.settings import HOME

FACTOR = 30.0
TARGET = f"deployment/{manifests.NAMESPACE}/{manifests.NAME}"
RESTART: Json = {"target": TARGET, "runbook": "roll"}

ROLL = """
  - name: roll
    match: ['alertname="NobodyFiresThis"']
    target: workload
    mode: act
    steps: [{restart: {}}]
"""
"""What a person runs here: an action alone would meet the default budget of changes an hour."""

pytestmark = pytest.mark.timeout(120 + 60 * KILLS)


@asynccontextmanager
async def _bed(root: Path, argv: list[str] | None = None) -> AsyncIterator[Bed]:
    """Start a bed whose policy lets one release follow the other without a pause."""
    policies = root / "policies"
    policies.mkdir()
    shipped = (HOME / "rules/policies/task-manager.yaml").read_text()
    limits = "limits: {cooldown: 0s, per_hour: 100, per_day: 100}"
    text, changed = re.subn(r"limits: \{.*\}", limits, shipped)
    assert changed >= 1
    text = text.replace("\nescalation:", f"{ROLL}    {limits}\n\nescalation:", 1)
    text = text.replace("cluster_per_hour: 20", "cluster_per_hour: 100")
    (policies / "policy.yaml").write_text(text)
    bed = beds.start(root, factor=FACTOR, replicas=2, policies=policies, responder_argv=argv)
    async with bed as running:
        urls = [f"{running.places.probe_url}/tasks"]
        async with Load.start(lambda: urls, rate=40.0, seconds=600.0):
            await wait_until(
                lambda: watch.healthy(running, "error_ratio"), 60, "the KPIs are within target"
            )
            yield running


async def _generation(bed: Bed) -> int:
    """Return how often the Deployment's spec was changed: one for each release and each effect."""
    found = await bed.deployment()
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return int(metadata["generation"])


async def _restarted_at(bed: Bed) -> object:
    found = await bed.deployment()
    spec = found["spec"]
    assert isinstance(spec, dict)
    annotations = spec["template"]["metadata"].get("annotations", {})
    return annotations.get("kubectl.kubernetes.io/restartedAt")


async def _incidents(bed: Bed) -> list[JsonObject]:
    """Return every incident whole, newest first."""
    found = await watch.call(bed, "/api/v1/incidents")
    assert isinstance(found, list)
    ids = [item["id"] for item in found if isinstance(item, dict)]
    wholes = [await watch.call(bed, f"/api/v1/incidents/{number}") for number in ids]
    return [whole for whole in wholes if isinstance(whole, dict)]


async def _results(bed: Bed) -> list[str]:
    """Return how every run so far ended; an empty string for one that has not."""
    every = [run for whole in await _incidents(bed) for run in _rows(whole, "runs")]
    return [str(run["result"]) for run in every]


async def _story(bed: Bed) -> str:
    """Return every timeline, for whoever reads a failure."""
    facts = [fact for whole in await _incidents(bed) for fact in _rows(whole, "timeline")]
    return "\n".join(sorted(f"{fact['at']} {fact['text']}" for fact in facts))


def _rows(whole: JsonObject, name: str) -> list[JsonObject]:
    rows = whole[name]
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]


async def _crash(bed: Bed) -> None:
    await bed.responder.kill()
    await bed.responder.start()


async def _all_over(bed: Bed, runs: int) -> bool:
    found = await watch.call(bed, "/api/v1/incidents?status=open")
    results = await _results(bed)
    return found == [] and len(results) == runs and "" not in results


async def test_kills_at_random_moments_repeat_nothing_and_lose_nothing(tmp_path: Path) -> None:
    dice = random.Random(SEED)  # noqa: S311 - the moments of kills, to be had again by the seed
    clock = SystemClock()
    async with _bed(tmp_path) as bed:
        for number in range(1, KILLS + 1):
            if number % 2:
                await bed.deploy("v4-errors")
                effects, latest = await _generation(bed) + 1, 14.0
            else:
                effects, latest = await _generation(bed) + 1, 4.0
                await watch.call(bed, "/api/v1/runs", RESTART)
            moment = timedelta(seconds=dice.uniform(0.0, latest))
            await clock.sleep(moment)
            await _crash(bed)
            what = f"round {number} is over (killed after {moment.total_seconds():.2f} s)"
            try:
                await wait_until(lambda n=number: _all_over(bed, n), 90, what)  # type: ignore[misc]
            except TimeoutError as error:
                raise AssertionError(f"{error}, SEED={SEED}\n{await _story(bed)}") from error
            await wait_until(bed.rolled_out, 30, "the Deployment is rolled out")
            assert await _generation(bed) == effects, f"{what}, SEED={SEED}\n{await _story(bed)}"
            assert await bed.image() == f"{manifests.NAME}:v3"
            assert set(await _results(bed)) <= {"cured", "completed"}


@pytest.mark.parametrize(
    ("responder", "restarts"),
    [
        pytest.param([sys.executable, "-m", "responder"], 1, id="the product probes"),
        pytest.param([sys.executable, "-m", "tests.bed.reckless"], 2, id="a planted fault repeats"),
    ],
)
async def test_a_restart_whose_answer_was_lost_in_a_crash(
    tmp_path: Path, responder: list[str], restarts: int
) -> None:
    """The second case shows that the count would catch a repeat: it has neither probe nor CAS."""
    async with _bed(tmp_path, responder) as bed:
        before = await _generation(bed)
        await bed.faults.add(Fault(verb="patch", path=f"/{manifests.NAME}$", cut=True))
        await watch.call(bed, "/api/v1/runs", RESTART)

        async def landed() -> bool:
            return await _generation(bed) == before + 1

        await wait_until(landed, 30, "the restart landed")
        stamp = await _restarted_at(bed)
        await _crash(bed)
        await wait_until(lambda: _all_over(bed, 1), 60, "the run is over")
        assert await _generation(bed) == before + restarts
        assert (await _restarted_at(bed) == stamp) is (restarts == 1)
