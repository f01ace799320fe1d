"""What is written down before the first effect, and what is said of what cannot be had."""

import pytest

from responder.domain.plan import SettledState
from tests.bed.cluster.interface import Fault
from tests.bed.process import wait_until
from tests.bed.steps import Attempt, Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_assessment_and_all_about_the_target_are_attached(bench: Bench) -> None:
    target = await bench.deploy("v1")
    await bench.release(target, "crash")

    async def has_crashed() -> bool:
        workload = await bench.read(target)
        pods = await bench.step.kube.pods(target.namespace, workload.selector)
        return any(container.restarts for pod in pods for container in pod.containers)

    await wait_until(has_crashed, 15, "a container to be restarted")
    attempt = await Attempt.planned(bench, target, "collect_evidence")
    assert (attempt.plan.blast.pods, attempt.plan.effect) == (0, {})
    await attempt.apply()
    assert (await attempt.settled()).state is SettledState.DONE
    found = bench.step.attached
    crashed = next(line for line in found["target pods"].splitlines() if "last ended by" in line)
    pod = crashed.split()[0].partition("/")[2]
    assert pod in found["pods not healthy"]
    assert "Ready" in found["nodes"]
    assert target.name in found["last events"]
    assert target.name in found["target events"]
    assert '"image": "probe-app:crash"' in found["target"]
    assert found["rollout history"].splitlines()[0].startswith("revision 2")
    assert "probe-app:v1" in found["rollout history"].splitlines()[1]
    assert "cannot go on" in found[f"previous log of {pod} app"]
    healthy = next(line for line in found["target pods"].splitlines() if "1/1 ready" in line)
    name = healthy.split()[0].partition("/")[2]
    assert "probe-app v1" in found[f"log of {name} app"]
    assert found[f"previous log of {name} app"].startswith("could not be had: ")
    assert found["KPIs"].startswith("could not be had: Prometheus did not answer")


async def test_an_api_server_that_fails_is_a_fact_and_no_error(bench: Bench) -> None:
    target = await bench.deploy(replicas=0)
    attempt = await Attempt.planned(bench, target, "collect_evidence")
    await bench.cluster.faults.add(Fault("list", status=500, times=-1))
    await attempt.apply()
    for piece in ("pods not healthy", "last events", "nodes", "rollout history", "target pods"):
        assert bench.step.attached[piece].startswith("could not be had: ")
    assert '"kind": "Deployment"' in bench.step.attached["target"]


async def test_a_target_that_is_gone_still_leaves_evidence(bench: Bench) -> None:
    target = await bench.deploy(replicas=0)
    attempt = await Attempt.planned(bench, target, "collect_evidence")
    await bench.cluster.delete(target.kind, target.namespace, target.name)
    await attempt.apply()
    assert bench.step.attached["target"] == f"{target} does not exist"
    assert bench.step.attached["nodes"]
