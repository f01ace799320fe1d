"""A release that leaks memory: restarted once; killed again, it goes to people."""

from datetime import timedelta

from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.scenario import Scenario, until
from tests.bed.story import Story


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-memory, whose pods live for half a minute under the load."""
    await bed.deploy("v4-memory")
    story.cause("released task-manager:v4-memory, which keeps a megabyte of each request")

    async def given_up() -> bool:
        results = await watch.results(bed)
        return len(results) > 1 and results[-1] in GIVEN_UP

    if not await until(bed, story, SPEC.kpi, timedelta(minutes=5), given_up):
        return False
    applied = [f for f in await watch.timeline(bed) if f["kind"] == "applied"]
    told, image = watch.paged(bed), await bed.image()
    story.tell("after", f"changes: {len(applied)}; told: {told}; runs {image}")
    return len(applied) == 1 and bool(told) and image == f"{manifests.NAME}:v4-memory"


GIVEN_UP = ("refused", "held")

SPEC = Scenario(
    "memory_leak",
    "a release leaks memory: restarted once, then people are told",
    play,
    kpi="availability",
    factor=5.0,  # dying takes as long as ever, and must be no outage beside the alerts' patience
    real=True,
    resources={"requests": {"memory": "64Mi"}, "limits": {"memory": "512Mi"}},
)
