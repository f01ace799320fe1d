"""More users than the pods can serve: the autoscaler's minimum is raised, and put back later."""

from datetime import timedelta

from tests.bed import manifests
from tests.bed.bed import Bed
from tests.bed.cluster.client import at
from tests.bed.load import Load
from tests.bed.scenario import Scenario, until
from tests.bed.story import Story

AUTOSCALER = "task-manager-hpa"
MINIMUM = 2
SURGE = 300.0
"""Requests a second beside the usual ones; three pods with 50m of CPU serve some 200 in all."""
TASKS = "INSERT INTO tasks (title) SELECT 'task ' || n FROM generate_series(1, 50) AS n"
"""A page full of them, so that an answer takes what it would."""


def nobody_released(policy: str) -> str:
    """Let a rollout of minutes ago be no release that the trouble could come from."""
    return policy.replace("rollout_younger_than: 1h", "rollout_younger_than: 1m")


async def play(bed: Bed, story: Story) -> bool:
    """Send many times the usual load for a while."""
    await bed.postgres.execute(TASKS, "taskmanager")
    await bed.cluster.apply(manifests.autoscaler(AUTOSCALER, MINIMUM))
    seen: list[int] = []

    async def minimum() -> int:
        found = await bed.cluster.get("HorizontalPodAutoscaler", manifests.NAMESPACE, AUTOSCALER)
        now = at(found, "spec.minReplicas")
        return now if isinstance(now, int) else 0

    async def put_back() -> bool:
        seen.append(await minimum())
        return max(seen) > MINIMUM and seen[-1] == MINIMUM

    async def raised() -> bool:
        return await minimum() > MINIMUM

    urls = [f"{bed.places.probe_url}/tasks"]
    bound = timedelta(minutes=5)
    story.cause(f"{SURGE:g} requests a second more than usual")
    # Two crowds: one alone waits for its answers before the pods are overwhelmed.
    crowd = SURGE / 2
    async with Load.start(lambda: urls, rate=crowd), Load.start(lambda: urls, rate=crowd):
        if not await until(bed, story, SPEC.kpi, bound, raised):
            return False
        story.tell("raised", f"the autoscaler's minimum is {await minimum()}")
    if not await until(bed, story, SPEC.kpi, bound, put_back):
        return False
    story.tell("put back", f"the autoscaler's minimum went {sorted({MINIMUM, *seen})} and back")
    image = await bed.image()
    return image == f"{manifests.NAME}:v3"


SPEC = Scenario(
    "traffic_surge",
    "more load than the pods can take: the autoscaler's minimum is raised for a while",
    play,
    kpi="latency_p95",
    policy=nobody_released,
    factor=20.0,
    real=True,
    resources={
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"cpu": "50m", "memory": "256Mi"},
    },
)
