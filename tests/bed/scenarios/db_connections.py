"""A release that leaks sessions with the database: they are told, and their owner is restarted."""

from datetime import timedelta

from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.process import wait_until
from tests.bed.scenario import Scenario, cured
from tests.bed.story import Story


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-sessions."""
    await bed.deploy("v4-sessions")
    await wait_until(bed.rolled_out, 120, "task-manager v4-sessions is rolled out")
    story.cause("released task-manager:v4-sessions, which leaks sessions with the database")
    before = await watch.restarted_at(bed)
    image = f"{manifests.NAME}:v4-sessions"
    bound = timedelta(minutes=4)
    if not await cured(bed, story, SPEC.kpi, bound, image):
        return False
    told = (await watch.evidence(bed)).get("sessions of taskmanager", "")
    story.tell("sessions", f"the evidence begins: {told.partition(chr(10))[0]}")
    restarted = await watch.restarted_at(bed) != before
    return restarted and "of task-manager" in told


SPEC = Scenario(
    "db_connections",
    "a release leaks database sessions: its pods are restarted",
    play,
    kpi="database_connections_ratio",
)
