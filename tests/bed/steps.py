"""What an action is handed, made by hand: for tests of actions without the engine."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from exporter.shared.clock import SystemClock
from exporter.shared.config import Section
from exporter.shared.kube import ReplicaSet, Workload
from exporter.shared.kube_client import KubeConnection
from exporter.shared.plugins import discover
from responder import actions
from responder.contract import ActionSpec, StepContext
from responder.domain.plan import (
    Plan,
    Probe,
    Settled,
    SettledState,
    plan_from_json,
    plan_to_json,
)
from responder.domain.values import Labels, Target
from responder.gateways.kube import KubeGateway
from responder.gateways.postgres import PostgresGateway
from responder.gateways.prometheus import PrometheusGateway
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.process import BedError, free_port, wait_until

USER_AGENT = "runbookd-test"

ACTIONS: dict[str, ActionSpec[Section]] = discover(actions, ActionSpec)

NOWHERE = Path("/nonexistent/kubeconfig")


@dataclass
class Step:
    """One step's ports, and what it attached and queued."""

    kube: KubeGateway
    metrics: PrometheusGateway
    databases: PostgresGateway = field(default_factory=lambda: PostgresGateway({}))
    attached: dict[str, str] = field(default_factory=dict)
    told: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def context(
        self,
        *,
        intent_at: datetime,
        now: datetime | None = None,
        key: str = "incident-1:1:1",
        labels: Labels | None = None,
    ) -> StepContext:
        """Return the context of one attempt; by default no time has passed since the intent."""

        def notify(receivers: Sequence[str], text: str) -> None:
            self.told.append((tuple(receivers), text))

        return StepContext(
            key=key,
            incident_id=1,
            labels=labels or {},
            intent_at=intent_at,
            now=now or intent_at,
            kube=self.kube,
            writer=self.kube,
            metrics=self.metrics,
            databases=self.databases,
            attach=self.attached.__setitem__,
            notify=notify,
        )


def no_cluster() -> KubeGateway:
    """Return a gateway that leads nowhere, for steps that must not need one."""
    return KubeGateway(KubeConnection(NOWHERE, user_agent=USER_AGENT))


@asynccontextmanager
async def step_on(kubeconfig: Path) -> AsyncIterator[Step]:
    """Connect one step's ports with a cluster; there is no Prometheus."""
    kube = await KubeGateway.open(kubeconfig, user_agent=USER_AGENT)
    metrics = PrometheusGateway(f"http://127.0.0.1:{free_port()}")
    try:
        yield Step(kube, metrics)
    finally:
        await metrics.close()
        await kube.close()


@dataclass(frozen=True)
class Bench:
    """A cluster and one step's ports to it: actions are tried on it by hand."""

    cluster: SimulatedCluster
    step: Step

    @classmethod
    @asynccontextmanager
    async def start(cls, root: Path) -> AsyncIterator["Bench"]:
        """Run a cluster that knows the images `probe-app:v1`, `:v2`, `:sick` and `:crash`."""
        async with SimulatedCluster.start(root) as cluster:
            for tag in ("v1", "v2", "sick", "crash"):
                await cluster.image(f"probe-app:{tag}")
            async with step_on(cluster.kubeconfig) as step:
                yield cls(cluster, step)

    async def deploy(self, tag: str = "v1", *, replicas: int = 1, **spec: object) -> Target:
        """Create a Deployment under a name of its own and wait until it is rolled out."""
        name = f"web-{token_hex(4)}"
        await self.cluster.apply(_deployment(name, tag, replicas=replicas, **spec))
        target = Target("Deployment", "default", name)
        await self.rolled_out(target)
        return target

    async def release(self, target: Target, tag: str) -> None:
        """Change the image, and do not wait."""
        await self.patch(target, {"template": {"spec": {"containers": [_container(tag)]}}})

    async def patch(self, target: Target, spec: Mapping[str, object]) -> None:
        """Merge `spec` into the target's, as somebody else."""
        kind = {"apiVersion": "apps/v1", "kind": target.kind}
        metadata = {"name": target.name, "namespace": target.namespace}
        await self.cluster.apply({**kind, "metadata": metadata, "spec": spec})

    async def read(self, target: Target) -> Workload:
        """Return the target, which must be there."""
        found = await self.step.kube.workload(target.kind, target.namespace, target.name)
        if found is None:
            raise BedError(f"{target} is gone")
        return found

    async def rolled_out(self, target: Target) -> None:
        """Wait until every pod runs the newest template."""

        async def done() -> bool:
            return (await self.read(target)).rolled_out

        await wait_until(done, 15, f"{target} to be rolled out")

    async def history(self, target: Target) -> Sequence[ReplicaSet]:
        """Return the target's ReplicaSets, newest revision first."""
        return await self.step.kube.replica_sets(await self.read(target))

    def seen(self, since: int = 0) -> list[str]:
        """Return what our own gateway asked since, as `verb path`."""
        requests = self.cluster.requests()[since:]
        return [f"{one.verb} {one.path}" for one in requests if one.user_agent == USER_AGENT]


@dataclass
class Attempt:
    """One action on one target, under one key and one intent, as the engine would drive it."""

    step: Step
    spec: ActionSpec[Section]
    params: Section
    plan: Plan
    intent_at: datetime
    key: str

    @classmethod
    async def planned(
        cls,
        on: Bench | Step,
        target: Target,
        action: str,
        params: Mapping[str, object] | None = None,
        key: str = "incident-7:2:1",
    ) -> "Attempt":
        """Plan it now."""
        spec = ACTIONS[action]
        validated = spec.params.model_validate(params or {})
        now = SystemClock().now()
        step = on.step if isinstance(on, Bench) else on
        context = step.context(intent_at=now, key=key)
        plan = await spec.action.plan(target, validated, context)
        return cls(step, spec, validated, plan, now, key)

    def context(self) -> StepContext:
        """Return the context of this moment, with the intent's time and key."""
        now = SystemClock().now()
        return self.step.context(intent_at=self.intent_at, now=now, key=self.key)

    async def apply(self) -> None:
        """Apply the plan as it was frozen: through JSON and back."""
        frozen = plan_from_json(plan_to_json(self.plan))
        await self.spec.action.apply(frozen, self.params, self.context())

    async def probe(self) -> Probe:
        """Ask whether it landed."""
        return await self.spec.action.probe(self.plan, self.params, self.context())

    async def settled(self) -> Settled:
        """Look once whether it is done."""
        return await self.spec.action.settled(self.plan, self.params, self.context())

    async def over(self) -> Settled:
        """Look until it is no longer pending."""

        async def look() -> Settled | None:
            found = await self.settled()
            return None if found.state is SettledState.PENDING else found

        found = await wait_until(look, 15, f"{self.plan.summary} to be over")
        if found is None:
            raise BedError("unreachable")
        return found


def _container(tag: str) -> dict[str, object]:
    return {"name": "app", "image": f"probe-app:{tag}"}


def _deployment(name: str, tag: str, **spec: object) -> dict[str, object]:
    labels = {"app": name}
    ready = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1}
    container = {
        **_container(tag),
        "imagePullPolicy": "Never",
        "ports": [{"containerPort": 8000}],
        "readinessProbe": ready,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            **spec,
        },
    }
