"""A release that fails every fifth request: found, rolled back, verified, reported."""

from datetime import timedelta

from tests.bed import manifests
from tests.bed.bed import Bed
from tests.bed.scenario import Scenario, cured
from tests.bed.story import Story


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-errors."""
    await bed.deploy("v4-errors")
    story.cause("released task-manager:v4-errors, which answers every fifth request with 500")
    return await cured(bed, story, SPEC.kpi, timedelta(minutes=3), f"{manifests.NAME}:v3")


SPEC = Scenario("bad_release", "a release answers with errors: rolled back", play)
