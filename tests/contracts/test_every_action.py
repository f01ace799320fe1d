"""What every action keeps, the ones to come included: a new file in responder/actions is in."""

import re
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from exporter.shared.errors import PermanentError
from responder.contract import Role
from responder.domain.values import Target
from tests.bed.steps import ACTIONS, Attempt, Bench

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARAMS: dict[str, dict[str, object]] = {
    "notify": {"receivers": ["oncall-slack"], "text": "hello"},
    "scale": {"by": "+1"},
    "verify": {"kpi": "error_ratio"},
    "wait": {"for": "1s"},
}
"""Parameters for the actions that need some."""

EFFECTS = [name for name, spec in ACTIONS.items() if spec.role is Role.EFFECT]

PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/[^/]+(?:/namespaces/[^/]+)?"
    r"/(?P<resource>[^/]+)(?:/[^/]+(?P<sub>/[^/]+)?)?"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with Bench.start(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


async def released(bench: Bench, replicas: int = 0) -> Target:
    """Return a Deployment that every action can do something with; pods cost seconds."""
    target = await bench.deploy("v1", replicas=replicas)
    await bench.release(target, "v2")
    await bench.rolled_out(target)
    return target


async def planned(bench: Bench, target: Target, action: str) -> Attempt:
    return await Attempt.planned(bench, target, action, PARAMS.get(action))


def allowed(permissions: Sequence[str]) -> set[str]:
    """Return `verb resource` for every permission."""
    pairs = (permission.split(":") for permission in permissions)
    return {f"{verb} {resource}" for resource, verbs in pairs for verb in verbs.split(",")}


def asked(request: str) -> str:
    """Turn `get /api/v1/namespaces/default/pods/x/log` into `get core/pods/log`."""
    verb, path = request.split()
    found = PATH.fullmatch(path)
    assert found is not None, path
    return f"{verb} {found['group'] or 'core'}/{found['resource']}{found['sub'] or ''}"


@pytest.mark.parametrize("action", ACTIONS)
async def test_a_plan_and_a_probe_change_nothing(bench: Bench, action: str) -> None:
    target = await released(bench)
    before = await bench.cluster.get(target.kind, target.namespace, target.name)
    since = len(bench.cluster.requests())
    attempt = await planned(bench, target, action)
    await attempt.probe()
    assert attempt.plan.action == action
    assert attempt.plan.summary
    assert {request.split()[0] for request in bench.seen(since)} <= {"get", "list"}
    assert await bench.cluster.get(target.kind, target.namespace, target.name) == before


@pytest.mark.parametrize("action", EFFECTS)
async def test_an_effect_applied_twice_under_one_key_happens_once(
    bench: Bench, action: str
) -> None:
    target = await released(bench)
    before = await bench.read(target)
    attempt = await planned(bench, target, action)
    assert attempt.plan.refusal == ""
    assert attempt.plan.precondition == {"uid": before.uid, "generation": before.generation}
    await attempt.apply()
    await attempt.apply()
    assert (await bench.read(target)).generation == before.generation + 1


@pytest.mark.parametrize("action", EFFECTS)
async def test_a_target_that_is_gone_is_said_and_not_waited_for(bench: Bench, action: str) -> None:
    target = await released(bench)
    attempt = await planned(bench, target, action)
    await bench.cluster.delete(target.kind, target.namespace, target.name)
    for call in (attempt.apply, attempt.settled):
        with pytest.raises(PermanentError):
            await call()
    with pytest.raises(PermanentError):
        await planned(bench, target, action)


@pytest.mark.parametrize("action", ACTIONS)
async def test_permissions_are_the_calls_that_are_made(bench: Bench, action: str) -> None:
    target = await released(bench, replicas=1)
    since = len(bench.cluster.requests())
    attempt = await planned(bench, target, action)
    await attempt.apply()
    await attempt.probe()
    await attempt.settled()
    made = {asked(request) for request in bench.seen(since)}
    declared = allowed(attempt.spec.permissions)
    assert made <= declared
    # The other kinds are reached on the same paths; what is written where there is an autoscaler
    # has its own tests.
    others = (
        *("apps/statefulsets", "apps/daemonsets", "get core/nodes"),
        "patch autoscaling/horizontalpodautoscalers",
    )
    assert {one for one in declared if not one.endswith(others)} <= made
