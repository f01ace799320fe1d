"""A release that is slow: p95 finds it, and it is rolled back."""

from datetime import timedelta

from tests.bed import manifests
from tests.bed.bed import Bed
from tests.bed.scenario import Scenario, cured
from tests.bed.story import Story


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-slow."""
    await bed.deploy("v4-slow")
    story.cause("released task-manager:v4-slow, which takes half a second longer")
    return await cured(bed, story, SPEC.kpi, timedelta(minutes=4), f"{manifests.NAME}:v3")


SPEC = Scenario("slow_release", "a release is slow: rolled back", play, kpi="latency_p95")
