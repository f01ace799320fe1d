"""A release that leaks memory: restarted once; as it is killed again, more people are told."""

from datetime import timedelta

from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.scenario import Scenario, until
from tests.bed.story import Story

SENIOR = (2, "senior-pager")


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-memory, whose pods live for half a minute under the load."""
    await bed.deploy("v4-memory")
    story.cause("released task-manager:v4-memory, which keeps a megabyte of each request")

    async def goes_to_people() -> bool:
        """Whether a second restart was not allowed, or the first has not ended the incident."""
        given_up = {"refused", "held"} & set(await watch.results(bed))
        return bool(given_up) or SENIOR in watch.paged(bed)

    if not await until(bed, story, SPEC.kpi, timedelta(minutes=6), goes_to_people):
        return False
    plans = [str(f["text"]) for f in await watch.timeline(bed) if f["kind"] == "applied"]
    told, image = watch.paged(bed), await bed.image()
    story.tell("after", f"changes: {plans}; told: {told}; runs {image}")
    restarted = len(plans) == 1 and "restart" in plans[0]
    return restarted and bool(told) and image == f"{manifests.NAME}:v4-memory"


SPEC = Scenario(
    "memory_leak",
    "a release leaks memory: restarted once, then people are told",
    play,
    kpi="unready_pods",
    factor=8.0,  # dying takes as long as ever, and must be no outage beside the alerts' patience
    real=True,
    resources={"requests": {"cpu": "200m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
)
