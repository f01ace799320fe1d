"""An outage that no runbook cures: levels 1, 2 and 3 are told, once each."""

from datetime import timedelta

from tests.bed import watch
from tests.bed.bed import Bed
from tests.bed.process import wait_until
from tests.bed.scenario import Scenario, until
from tests.bed.story import Story

EVERYBODY_ONCE = [
    (1, "oncall-pager"),
    (1, "oncall@example.com"),
    (2, "senior-pager"),
    (3, "manager@example.com"),
]
"""Who the shipped policy tells, by level."""


def sooner(policy: str) -> str:
    """Tell the manager after half an hour: nothing else happens in the other half."""
    return policy.replace("after: 60m", "after: 30m")


async def play(bed: Bed, story: Story) -> bool:
    """Make the database refuse connections: no rollback cures that."""
    await bed.deploy("v4")
    await wait_until(bed.rolled_out, 120, "task-manager v4 is rolled out")
    await bed.postgres.refuse_connections("taskmanager")
    story.cause("the application's database refuses connections (after a healthy update to v4)")

    async def manager_was_told() -> bool:
        return (3, "manager@example.com") in watch.paged(bed)

    if not await until(bed, story, SPEC.kpi, timedelta(minutes=5), manager_was_told):
        return False
    told = watch.paged(bed)
    story.tell("told", f"who was told, by level: {told}")
    results = await watch.results(bed)
    story.tell("results", f"how the runs ended: {', '.join(results)}")
    return "exhausted" in results and told == EVERYBODY_ONCE


SPEC = Scenario(
    "unfixable",
    "the database is away: no runbook helps, levels 1, 2 and 3 are told",
    play,
    policy=sooner,
    factor=20.0,  # level 3 is told after half an hour: 90 seconds
)
