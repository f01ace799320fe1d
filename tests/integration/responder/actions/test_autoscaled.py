"""Scale under a HorizontalPodAutoscaler, which undoes every number that it did not choose."""

import pytest

from exporter.shared.errors import ConflictError
from responder.domain.plan import Probe, SettledState
from responder.domain.values import Target
from responder.objects import LAST_ACTION
from tests.bed.steps import Attempt, Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

KIND = "HorizontalPodAutoscaler"


async def autoscaled(bench: Bench, *, least: int | None, most: int, replicas: int = 0) -> Target:
    """Return a Deployment under an autoscaler of the same name, which nobody obeys here."""
    target = await bench.deploy(replicas=replicas)
    scales = {"apiVersion": "apps/v1", "kind": target.kind, "name": target.name}
    spec = {"scaleTargetRef": scales, "maxReplicas": most, "metrics": []}
    if least is not None:
        spec["minReplicas"] = least
    metadata = {"name": target.name, "namespace": target.namespace}
    manifest = {"apiVersion": "autoscaling/v2", "kind": KIND, "metadata": metadata, "spec": spec}
    await bench.cluster.apply(manifest)
    return target


async def minimum(bench: Bench, target: Target) -> tuple[object, object]:
    found = await bench.cluster.get(KIND, target.namespace, target.name)
    assert found is not None
    spec, metadata = found["spec"], found["metadata"]
    assert isinstance(spec, dict)
    assert isinstance(metadata, dict)
    return spec.get("minReplicas"), metadata.get("annotations", {}).get(LAST_ACTION)


async def test_the_minimum_is_raised_once_and_the_deployment_is_left_alone(bench: Bench) -> None:
    target = await autoscaled(bench, least=2, most=5)
    before = await bench.read(target)
    attempt = await Attempt.planned(bench, target, "scale", {"to": 4})
    assert attempt.plan.summary == (
        f"change the least number of pods that {KIND} {target.name} keeps of {target} from 2 to 4"
    )
    assert await attempt.probe() is Probe.NOT_APPLIED
    await attempt.apply()
    await attempt.apply()
    assert await attempt.probe() is Probe.APPLIED
    assert await minimum(bench, target) == (4, attempt.key)
    assert await bench.read(target) == before
    # Nobody obeys here: the pods are still to come.
    assert (await attempt.settled()).state is SettledState.PENDING
    await bench.patch(target, {"replicas": 4})
    assert (await attempt.over()).state is SettledState.DONE


async def test_the_autoscalers_own_maximum_bounds_the_step(bench: Bench) -> None:
    target = await autoscaled(bench, least=None, most=3, replicas=2)
    attempt = await Attempt.planned(bench, target, "scale", {"by": "100%", "max": 10})
    assert (attempt.plan.effect["from"], attempt.plan.effect["to"]) == (1, 3)
    await attempt.apply()
    again = await Attempt.planned(bench, target, "scale", {"by": "100%"}, key="incident-9:1:1")
    assert again.plan.refusal == f"{KIND} {target.name} keeps 3 pods already and 3 at most"


async def test_a_minimum_that_somebody_changed_meanwhile_is_theirs(bench: Bench) -> None:
    target = await autoscaled(bench, least=2, most=9)
    attempt = await Attempt.planned(bench, target, "scale", {"to": 4})
    other = await Attempt.planned(bench, target, "scale", {"to": 6}, key="incident-9:1:1")
    await other.apply()
    assert await attempt.probe() is Probe.UNKNOWN
    with pytest.raises(ConflictError):
        await attempt.apply()
    back = await Attempt.planned(
        bench, target, "scale", {"to": 2, "only_from": 4}, key="incident-9:2:1"
    )
    assert back.plan.refusal == "it has 6 pods where 4 were expected: somebody changed it"
