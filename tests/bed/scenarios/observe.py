"""Observe mode: everything is decided and shown, and nothing is touched."""

from datetime import timedelta

from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.process import wait_until
from tests.bed.scenario import Scenario, until
from tests.bed.story import Story


def only_observing(policy: str) -> str:
    """Let every runbook of the shipped policy observe."""
    return policy.replace("mode: act", "mode: observe")


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-errors."""
    await bed.deploy("v4-errors")
    await wait_until(bed.rolled_out, 120, "task-manager v4-errors is rolled out")
    before = await watch.generation(bed)
    story.cause("released task-manager:v4-errors; every runbook observes")

    async def observed() -> bool:
        return "observed" in await watch.results(bed) and bool(watch.paged(bed))

    if not await until(bed, story, SPEC.kpi, timedelta(minutes=2), observed):
        return False
    texts = [str(fact["text"]) for fact in await watch.timeline(bed)]
    plan = any(text.startswith("Plan: roll ") for text in texts)
    applied = any(text.startswith("Applied: ") for text in texts)
    untouched = await watch.generation(bed) == before
    image = await bed.image()
    story.tell("after", f"planned: {plan}; applied: {applied}; untouched: {untouched}; {image}")
    return plan and not applied and untouched and image == f"{manifests.NAME}:v4-errors"


SPEC = Scenario(
    "observe", "everything is decided and shown, nothing is touched", play, policy=only_observing
)
