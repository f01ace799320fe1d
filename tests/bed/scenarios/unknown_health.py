"""No release is known to have been healthy: the rollback is refused, and people are told why."""

from datetime import timedelta

from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.scenario import Scenario, until
from tests.bed.scenarios.bad_rollback import to_last_healthy
from tests.bed.story import Story

REFUSED = "is known to have been within its targets"


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-errors before v3 has been healthy for five minutes."""
    await bed.deploy("v4-errors")
    story.cause("released task-manager:v4-errors before v3 had proven itself")

    async def refused() -> bool:
        return "refused" in await watch.results(bed) and bool(watch.paged(bed))

    if not await until(bed, story, SPEC.kpi, timedelta(minutes=2), refused):
        return False
    why = any(REFUSED in str(fact["text"]) for fact in await watch.timeline(bed))
    told = [level for level, _ in watch.paged(bed)]
    image = await bed.image()
    story.tell("after", f"refused for that reason: {why}; levels told: {told}; runs {image}")
    return why and 1 in told and image == f"{manifests.NAME}:v4-errors"


SPEC = Scenario(
    "unknown_health",
    "no release is known to have been healthy: refused, people are told",
    play,
    policy=to_last_healthy,
)
