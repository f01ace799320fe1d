"""A node that is gone: one incident on the node, nothing is touched, people are told."""

from datetime import timedelta

from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.cluster.client import at, items
from tests.bed.process import wait_until
from tests.bed.scenario import Scenario, until
from tests.bed.story import Story

NODE = "pretended-0"
TARGET = f"node//{NODE}"
READY_SECONDS = 60.0


async def play(bed: Bed, story: Story) -> bool:
    """Let a pretended node with three pretended pods report no more."""

    async def is_ready() -> bool:
        node = await bed.cluster.get("Node", "", NODE)
        found = {c["type"]: c["status"] for c in items(node, "status.conditions")}
        pods = await bed.cluster.get("Deployment", manifests.NAMESPACE, manifests.PRETENDED)
        return found.get("Ready") == "True" and at(pods, "status.readyReplicas") == PODS

    for each in (manifests.pretended_node(NODE), manifests.pretended(PODS)):
        await bed.cluster.apply(each)
    await wait_until(is_ready, READY_SECONDS, f"{NODE} and its pods are ready")
    generation = await watch.generation(bed)
    # Once it plays a node, kwok does not let go of it.
    await bed.cluster.delete("Node", "", NODE)
    await bed.cluster.apply(manifests.pretended_node(NODE, lives=False))
    story.about = TARGET
    story.cause(f"node {NODE}, with {PODS} pods, reports no more")

    async def looked_into() -> bool:
        return "completed" in await watch.results(bed, TARGET) and bool(watch.paged(bed, TARGET))

    if not await until(bed, story, SPEC.kpi, timedelta(minutes=4), looked_into):
        return False
    # What the machine's own load does to the application and the product is another story.
    targets = [each for each in await watch.targets(bed) if manifests.PRETENDED in each]
    untouched = await watch.generation(bed) == generation
    told = watch.paged(bed, TARGET)
    story.tell("after", f"incidents on {targets}; untouched: {untouched}; told: {told}")
    return targets == [TARGET] and untouched


PODS = 3

SPEC = Scenario(
    "node_lost",
    "a node is gone: one incident, people are told, nothing is touched",
    play,
    factor=20.0,
    real=True,
)
