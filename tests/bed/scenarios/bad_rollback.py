"""The release before is broken too: what is gone back to is the one that was healthy last."""

from datetime import timedelta

from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.process import wait_until
from tests.bed.scenario import Scenario, cured
from tests.bed.story import Story


def to_last_healthy(policy: str) -> str:
    """Let every rollback of the shipped policy ask for the last healthy release."""
    return policy.replace("to: previous", "to: last-healthy")


async def play(bed: Bed, story: Story) -> bool:
    """Release v4-errors and, before anybody noticed, v5-errors."""

    async def v3_is_known() -> bool:
        return bool(await bed.prometheus.query(watch.HEALTHY))

    await wait_until(v3_is_known, 120, "v3 is known to have been healthy for five minutes")
    await bed.deploy("v4-errors")
    story.cause("released task-manager:v4-errors, and v5-errors on top of it")
    await bed.deploy("v5-errors")
    return await cured(bed, story, SPEC.kpi, timedelta(minutes=3), f"{manifests.NAME}:v3")


SPEC = Scenario(
    "bad_rollback",
    "the release before is broken too: back to the last healthy one",
    play,
    policy=to_last_healthy,
)
