"""A release that crashes at its start: its last words are kept, and it is rolled back."""

from datetime import timedelta

from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.scenario import Scenario, cured
from tests.bed.story import Story
from tests.bed.task_manager.app import CRASH


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-crash."""
    await bed.deploy("v4-crash")
    story.cause("released task-manager:v4-crash, whose pods end half a second after their start")
    well = await cured(bed, story, SPEC.kpi, timedelta(minutes=4), f"{manifests.NAME}:v3")
    logs = [name for name, text in (await watch.evidence(bed)).items() if CRASH in text]
    story.tell("logs", f"the crash's last words are in the evidence: {', '.join(logs) or 'no'}")
    return well and bool(logs)


SPEC = Scenario(
    "crash_loop", "a release crashes: its log is kept, rolled back", play, kpi="unready_pods"
)
