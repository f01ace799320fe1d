"""What our restart, scale and rollback leave behind is what kubectl's leave behind."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from responder.domain.values import Target
from responder.objects import LAST_ACTION
from tests.bed.cluster.client import at, items
from tests.bed.cluster.kubectl import Kubectl
from tests.bed.steps import Attempt, Step, step_on
from tests.e2e.conftest import Anywhere

pytestmark = pytest.mark.asyncio(loop_scope="session")

OURS, THEIRS = "ours", "theirs"
OF_THE_OBJECT = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "ownerReferences")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
"""As kubectl writes restartedAt, but for the time zone, which is this machine's."""


@dataclass(frozen=True, slots=True)
class Twins:
    """Two Deployments that differ in nothing but their names: `ours` and `theirs`."""

    kubectl: Kubectl
    step: Step
    namespace: str

    def run(self, *args: str, stdin: str = "") -> str:
        """Run kubectl in the twins' namespace."""
        return self.kubectl("-n", self.namespace, *args, stdin=stdin)

    def release(self, image: str, cause: str) -> None:
        """Give both another image, as a person does, and wait until it is out."""
        for name in (OURS, THEIRS):
            self.run("set", "image", f"deployment/{name}", f"main={image}")
            self.run("annotate", f"deployment/{name}", f"kubernetes.io/change-cause={cause}")
            self.run("rollout", "status", f"deployment/{name}", "--timeout=60s")

    async def act(self, action: str, **params: object) -> None:
        """Let our action do its work on ours."""
        target = Target("Deployment", self.namespace, OURS)
        attempt = await Attempt.planned(self.step, target, action, params)
        assert attempt.plan.refusal == ""
        await attempt.apply()

    def deployment(self, name: str) -> dict[str, object]:
        """Return what is not the object's own, once the controller has seen it."""
        self.run("rollout", "status", f"deployment/{name}", "--timeout=60s")
        return neutral(self.run("get", "deployment", name, "-o", "json"), name)

    def history(self, name: str) -> list[dict[str, object]]:
        """Return the ReplicaSets in the same way, by revision."""
        found = json.loads(self.run("get", "replicasets", "-l", f"app={name}", "-o", "json"))
        sets = [neutral(json.dumps(one), name) for one in items(found)]
        return sorted(sets, key=lambda one: str(at(one, "metadata.annotations")))


def neutral(text: str, name: str) -> dict[str, object]:
    """Read an object without its identity, its status and the moments it was changed at."""
    text = MOMENT.sub("MOMENT", text.replace(name, "NAME"))
    found: dict[str, object] = json.loads(text)
    del found["status"]
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    for key in OF_THE_OBJECT:
        metadata.pop(key, None)
    metadata.get("annotations", {}).pop(LAST_ACTION, None)
    hashed = metadata.get("labels", {}).get("pod-template-hash", "")
    without: dict[str, object] = json.loads(
        json.dumps(found).replace(hashed, "HASH") if hashed else json.dumps(found)
    )
    return without


@pytest_asyncio.fixture(loop_scope="session")
async def twins(anywhere: Anywhere, namespace: str) -> AsyncIterator[Twins]:
    """They have no pods: what counts is in the objects."""
    async with step_on(anywhere.kubectl.kubeconfig) as step:
        twins = Twins(anywhere.kubectl, step, namespace)
        for name in (OURS, THEIRS):
            labels = {"app": name}
            container = {"name": "main", "image": anywhere.image}
            template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
            spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
            manifest = {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "labels": labels},
                "spec": spec,
            }
            twins.run("create", "-f", "-", stdin=json.dumps(manifest))
        yield twins


def same(twins: Twins) -> None:
    assert twins.deployment(OURS) == twins.deployment(THEIRS)
    assert twins.history(OURS) == twins.history(THEIRS)


async def test_a_restart_is_kubectl_rollout_restart(twins: Twins) -> None:
    await twins.act("restart")
    twins.run("rollout", "restart", f"deployment/{THEIRS}")
    same(twins)
    assert len(twins.history(OURS)) == 2


async def test_a_scale_is_kubectl_scale(twins: Twins) -> None:
    await twins.act("scale", to=1)
    twins.run("scale", f"deployment/{THEIRS}", "--replicas=1")
    found = [json.loads(twins.run("get", "deployment", n, "-o", "json")) for n in (OURS, THEIRS)]
    ours, theirs = (
        neutral(json.dumps(one), n) for one, n in zip(found, (OURS, THEIRS), strict=True)
    )
    assert ours == theirs
    assert at(ours, "spec.replicas") == 1


async def test_a_rollback_is_kubectl_rollout_undo(twins: Twins, anywhere: Anywhere) -> None:
    twins.release(anywhere.image, "the first")
    twins.release("example.com/other:v2", "the second")
    await twins.act("rollback")
    twins.run("rollout", "undo", f"deployment/{THEIRS}")
    same(twins)
    restored = twins.deployment(OURS)
    assert at(restored, "spec.template.spec.containers.0.image") == anywhere.image
    assert "the first" in str(at(restored, "metadata.annotations"))
