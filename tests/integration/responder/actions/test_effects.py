"""Restart, scale and rollback on a cluster: once, on the right object, or not at all."""

import asyncio

import pytest

from exporter.shared.errors import ConflictError, PermanentError, TransientError
from responder.actions.restart import RESTARTED_AT
from responder.domain.plan import Probe, SettledState
from responder.domain.values import Target
from responder.objects import LAST_ACTION, TRIES
from tests.bed.cluster.interface import Fault
from tests.bed.process import wait_until
from tests.bed.steps import Attempt, Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

EFFECTS: dict[str, dict[str, object]] = {"restart": {}, "scale": {"by": "+1"}, "rollback": {}}


async def released(bench: Bench, replicas: int = 0) -> Target:
    """Return a Deployment with two releases, v2 being the newest; pods cost seconds."""
    target = await bench.deploy("v1", replicas=replicas)
    await bench.release(target, "v2")
    await bench.rolled_out(target)
    return target


async def test_a_restart_applied_twice_under_one_key_makes_one_replica_set(bench: Bench) -> None:
    target = await bench.deploy(replicas=2)
    attempt = await Attempt.planned(bench, target, "restart")
    assert (attempt.plan.blast.pods, attempt.plan.refusal) == (2, "")
    await attempt.apply()
    assert (await attempt.settled()).state is SettledState.PENDING
    await attempt.apply()
    assert (await attempt.over()).state is SettledState.DONE
    workload = await bench.read(target)
    assert len(await bench.history(target)) == 2
    assert workload.generation == 2
    assert workload.annotations[LAST_ACTION] == attempt.key
    stamp = f"{attempt.intent_at:%Y-%m-%dT%H:%M:%SZ}"
    assert workload.template_annotations == {RESTARTED_AT: stamp}


async def test_a_rollback_reuses_the_replica_set_of_the_release_before(bench: Bench) -> None:
    target = await released(bench, replicas=1)
    newest, goal = await bench.history(target)
    attempt = await Attempt.planned(bench, target, "rollback")
    assert attempt.plan.effect["uid"] == goal.uid
    assert attempt.plan.summary == (
        f"roll {target} back from probe-app:v2 (revision 2) to probe-app:v1 (revision 1)"
    )
    await attempt.apply()
    await attempt.apply()
    assert (await attempt.over()).state is SettledState.DONE
    history = await bench.history(target)
    assert [(one.uid, one.revision) for one in history] == [(goal.uid, 3), (newest.uid, 2)]
    workload = await bench.read(target)
    assert (workload.generation, workload.annotations[LAST_ACTION]) == (3, attempt.key)


async def test_a_rollback_never_goes_back_to_what_it_rolled_back(bench: Bench) -> None:
    target = await released(bench)
    attempt = await Attempt.planned(bench, target, "rollback")
    await attempt.apply()
    await attempt.over()
    again = await Attempt.planned(bench, target, "rollback", key="incident-8:1:1")
    assert again.plan.refusal == "no release older than the running one is kept"


async def test_a_rollback_out_of_a_stuck_rollout_is_not_called_stuck_itself(bench: Bench) -> None:
    target = await bench.deploy("v1", progressDeadlineSeconds=2)
    await bench.release(target, "sick")
    await stuck(bench, target)
    attempt = await Attempt.planned(bench, target, "rollback")
    await attempt.apply()
    assert (await attempt.over()).state is SettledState.DONE


async def test_a_restart_of_a_release_that_never_gets_ready_fails(bench: Bench) -> None:
    target = await bench.deploy("v1", progressDeadlineSeconds=2)
    await bench.release(target, "sick")
    await stuck(bench, target)
    attempt = await Attempt.planned(bench, target, "restart")
    await attempt.apply()
    over = await attempt.over()
    assert over.state is SettledState.FAILED
    assert "ProgressDeadlineExceeded" in over.detail


async def stuck(bench: Bench, target: Target) -> None:
    async def is_stuck() -> bool:
        return (await bench.read(target)).progressing_reason == "ProgressDeadlineExceeded"

    await wait_until(is_stuck, 15, f"{target} to be stuck")


async def test_a_step_is_scaled_once_to_the_number_of_the_plan(bench: Bench) -> None:
    target = await bench.deploy(replicas=2)
    attempt = await Attempt.planned(bench, target, "scale", {"by": "50%", "max": 10})
    assert attempt.plan.effect == {"from": 2, "to": 3}
    await attempt.apply()
    await attempt.apply()
    assert (await attempt.over()).state is SettledState.DONE
    assert (await bench.read(target)).available == 3


async def test_scale_refuses_what_changes_nothing(bench: Bench) -> None:
    target = await bench.deploy(replicas=0)
    attempt = await Attempt.planned(bench, target, "scale", {"to": 0, "min": 0})
    assert attempt.plan.refusal == "it has 0 pods already"


async def test_a_scale_that_somebody_else_undid_has_failed(bench: Bench) -> None:
    target = await bench.deploy(replicas=0)
    attempt = await Attempt.planned(bench, target, "scale", {"to": 1})
    await attempt.apply()
    await bench.patch(target, {"replicas": 0})
    assert (await attempt.settled()).state is SettledState.FAILED


@pytest.mark.parametrize("action", ["restart", "rollback"])
async def test_a_paused_rollout_is_refused(bench: Bench, action: str) -> None:
    target = await released(bench)
    await bench.patch(target, {"paused": True})
    attempt = await Attempt.planned(bench, target, action)
    assert attempt.plan.refusal == "its rollout is paused"


async def test_only_deployments_are_rolled_back(bench: Bench) -> None:
    with pytest.raises(PermanentError):
        await Attempt.planned(bench, Target("StatefulSet", "default", "postgres"), "rollback")


@pytest.mark.parametrize("action", EFFECTS)
async def test_a_conflict_about_the_status_is_ridden_through(bench: Bench, action: str) -> None:
    target = await released(bench)
    attempt = await Attempt.planned(bench, target, action, EFFECTS[action])
    await bench.cluster.faults.add(Fault("patch", target.name, status=409, times=TRIES - 1))
    await attempt.apply()
    assert (await bench.read(target)).annotations[LAST_ACTION] == attempt.key


@pytest.mark.parametrize("action", EFFECTS)
async def test_conflicts_without_end_are_given_back(bench: Bench, action: str) -> None:
    target = await released(bench)
    attempt = await Attempt.planned(bench, target, action, EFFECTS[action])
    await bench.cluster.faults.add(Fault("patch", target.name, status=409, times=-1))
    with pytest.raises(ConflictError):
        await attempt.apply()
    assert await attempt.probe() is Probe.NOT_APPLIED


@pytest.mark.parametrize("action", EFFECTS)
async def test_a_target_changed_since_the_plan_is_left_alone(bench: Bench, action: str) -> None:
    target = await released(bench)
    attempt = await Attempt.planned(bench, target, action, EFFECTS[action])
    await bench.patch(target, {"minReadySeconds": 1})
    with pytest.raises(ConflictError):
        await attempt.apply()
    assert LAST_ACTION not in (await bench.read(target)).annotations
    assert await attempt.probe() is Probe.UNKNOWN


@pytest.mark.parametrize("action", EFFECTS)
async def test_a_change_between_the_last_read_and_the_write_wins(bench: Bench, action: str) -> None:
    target = await released(bench)
    attempt = await Attempt.planned(bench, target, action, EFFECTS[action])
    await bench.cluster.faults.add(Fault("patch", target.name, latency=1.0))
    since = len(bench.cluster.requests())
    applying = asyncio.create_task(attempt.apply())

    async def is_on_its_way() -> bool:
        return any(request.startswith("patch") for request in bench.seen(since))

    await wait_until(is_on_its_way, 5, "the write to arrive")
    await bench.patch(target, {"minReadySeconds": 1})
    with pytest.raises(ConflictError):
        await applying
    assert LAST_ACTION not in (await bench.read(target)).annotations


@pytest.mark.parametrize("action", EFFECTS)
async def test_another_object_of_the_same_name_is_left_alone(bench: Bench, action: str) -> None:
    target = await released(bench)
    attempt = await Attempt.planned(bench, target, action, EFFECTS[action])
    attempt.plan.precondition["uid"] = "the one before"
    with pytest.raises(ConflictError):
        await attempt.apply()
    assert await attempt.probe() is Probe.UNKNOWN


@pytest.mark.parametrize("action", EFFECTS)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("patch", status=429, retry_after=1), Probe.NOT_APPLIED),
        (Fault("patch", status=500), Probe.NOT_APPLIED),
        (Fault("patch", cut=True), Probe.APPLIED),
    ],
    ids=["429", "500", "cut"],
)
async def test_after_a_fault_the_probe_knows_whether_it_landed(
    bench: Bench, action: str, fault: Fault, expected: Probe
) -> None:
    target = await released(bench)
    attempt = await Attempt.planned(bench, target, action, EFFECTS[action])
    assert await attempt.probe() is Probe.NOT_APPLIED
    generation = (await bench.read(target)).generation
    await bench.cluster.faults.add(fault)
    with pytest.raises(TransientError):
        await attempt.apply()
    assert await attempt.probe() is expected
    await attempt.apply()
    assert await attempt.probe() is Probe.APPLIED
    assert (await bench.read(target)).generation == generation + 1


async def test_a_restart_is_recognised_after_a_later_key_replaced_its_own(bench: Bench) -> None:
    target = await bench.deploy(replicas=0)
    first = await Attempt.planned(bench, target, "restart")
    await first.apply()
    later = await Attempt.planned(bench, target, "scale", {"to": 2}, key="incident-9:1:1")
    await later.apply()
    assert await first.probe() is Probe.APPLIED


@pytest.mark.parametrize("action", EFFECTS)
async def test_a_later_change_by_others_is_unknown_never_repeated(
    bench: Bench, action: str
) -> None:
    target = await released(bench)
    attempt = await Attempt.planned(bench, target, action, EFFECTS[action])
    other = await Attempt.planned(bench, target, "scale", {"to": 3}, key="incident-9:1:1")
    await other.apply()
    assert await attempt.probe() is Probe.UNKNOWN
