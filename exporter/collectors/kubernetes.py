"""Nodes, pods, workloads and their rollouts, from watches of the API server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from exporter.contract import CollectorSpec, Metric, Publisher, Reading, Sample, StreamedSource
from exporter.ports import Clients, ContainerView, WatchedPod, WatchedReplicaSet
from exporter.shared.clock import Clock
from exporter.shared.config import Duration, Section
from exporter.watch.objects import (
    REVISION,
    DaemonSet,
    Deployment,
    Node,
    StatefulSet,
    Watched,
    holds,
)
from exporter.watch.reflector import Reflector
from exporter.watch.restarts import RestartLog, Subject
from exporter.watch.rollout import Rollout, of_daemon_set, of_deployment, of_stateful_set

WATCHED = TypeVar("WATCHED", bound=Watched)

WORKLOAD = ("namespace", "workload", "workload_type")
CONTAINER = ("namespace", "pod", "container", "workload", "workload_type")

NODE_READY = Metric("kpi_node_ready", "1 if the node is Ready.", labels=("node",))
NODE_UNSCHEDULABLE = Metric(
    "kpi_node_unschedulable", "1 if the node is cordoned.", labels=("node",)
)
NODE_INFO = Metric("kpi_node_info", "Version of the node's kubelet.", labels=("node", "version"))
POD_INFO = Metric(
    "kpi_pod_info",
    "Where the pod runs and which workload it belongs to.",
    labels=("namespace", "pod", "workload", "workload_type", "node"),
)
POD_PHASE = Metric(
    "kpi_pod_phase",
    "1 for the phase that the pod is in; other phases have no series.",
    labels=("namespace", "pod", "phase"),
)
POD_READY = Metric(
    "kpi_pod_ready",
    "1 if the pod is Ready and not being deleted.",
    labels=("namespace", "pod", "workload", "workload_type"),
)
POD_RESTARTS = Metric(
    "kpi_pod_container_restarts_total",
    "Restarts of the container in the life of its pod.",
    "counter",
    CONTAINER,
)
POD_WAITING = Metric(
    "kpi_pod_container_waiting_reason",
    "1 for the reason why the container waits; none if it does not wait.",
    labels=(*CONTAINER, "reason"),
)
POD_TERMINATED = Metric(
    "kpi_pod_container_last_terminated_reason",
    "1 for the reason why the container's last incarnation ended; none before its first end.",
    labels=(*CONTAINER, "reason"),
)
DESIRED = Metric("kpi_workload_replicas_desired", "Pods wanted.", labels=WORKLOAD)
AVAILABLE = Metric("kpi_workload_replicas_available", "Pods available.", labels=WORKLOAD)
UPDATED = Metric("kpi_workload_replicas_updated", "Pods of the newest template.", labels=WORKLOAD)
LAG = Metric(
    "kpi_workload_generation_lag", "Generations not seen by the controller yet.", labels=WORKLOAD
)
PAUSED = Metric("kpi_workload_paused", "1 if rollouts of the workload are paused.", labels=WORKLOAD)
IN_PROGRESS = Metric(
    "kpi_workload_rollout_in_progress", "1 if a rollout is not complete.", labels=WORKLOAD
)
CREATED = Metric(
    "kpi_workload_created_timestamp_seconds", "When the workload was created.", labels=WORKLOAD
)
TEMPLATE = Metric(
    "kpi_workload_template_info",
    "Hash and revision of the pod template that is wanted now; none of DaemonSets.",
    labels=(*WORKLOAD, "template_hash", "revision"),
)
ROLLOUT_STARTED = Metric(
    "kpi_workload_rollout_started_timestamp_seconds",
    "When the newest ReplicaSet was created; Deployments only.",
    labels=WORKLOAD,
)

OTHER = "Other"
WAITING_REASONS = frozenset(
    {
        "ContainerCreating",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "PodInitializing",
        "RunContainerError",
    }
)
"""The kubelet's own; what a container runtime words freely becomes `Other`."""
TERMINATED_REASONS = frozenset(
    {
        "Completed",
        "ContainerCannotRun",
        "ContainerStatusUnknown",
        "DeadlineExceeded",
        "Error",
        "Evicted",
        "OOMKilled",
        "StartError",
    }
)


class Settings(Section):
    """Settings of the `kubernetes` collector."""

    stale_after: Duration = timedelta(minutes=5)
    """How long series stay without a sign of life from the API server: three of its watches that
    fell silent, each given up after 90 seconds, and half a minute to list again."""


def node_samples(node: Node) -> Iterator[Sample]:
    """Describe a node."""
    name = node.metadata.name
    yield Sample(NODE_READY, (name,), float(holds(node.status.conditions, "Ready")))
    yield Sample(NODE_UNSCHEDULABLE, (name,), float(node.spec.unschedulable or False))
    yield Sample(NODE_INFO, (name, node.status.node_info.kubelet_version), 1.0)


def pod_samples(pod: WatchedPod) -> Iterator[Sample]:
    """Describe a pod and its containers."""
    named = (pod.namespace, pod.name)
    workload = (pod.workload, pod.workload_type)
    yield Sample(POD_INFO, (*named, *workload, pod.node), 1.0)
    yield Sample(POD_PHASE, (*named, pod.phase), 1.0)
    yield Sample(POD_READY, (*named, *workload), float(pod.ready))
    for container in pod.containers:
        yield from _container_samples(container, (*named, container.name, *workload))


def _container_samples(container: ContainerView, labels: tuple[str, ...]) -> Iterator[Sample]:
    yield Sample(POD_RESTARTS, labels, float(container.restarts))
    if container.waiting_reason is not None:
        reason = container.waiting_reason if container.waiting_reason in WAITING_REASONS else OTHER
        yield Sample(POD_WAITING, (*labels, reason), 1.0)
    if container.last_reason is not None:
        reason = container.last_reason if container.last_reason in TERMINATED_REASONS else OTHER
        yield Sample(POD_TERMINATED, (*labels, reason), 1.0)


def rollout_samples(rollout: Rollout) -> Iterator[Sample]:
    """Describe a workload of any kind."""
    labels = rollout.labels
    yield Sample(DESIRED, labels, float(rollout.desired))
    yield Sample(AVAILABLE, labels, float(rollout.available))
    yield Sample(UPDATED, labels, float(rollout.updated))
    yield Sample(LAG, labels, float(rollout.lag))
    yield Sample(PAUSED, labels, float(rollout.paused))
    yield Sample(IN_PROGRESS, labels, float(rollout.in_progress))
    if rollout.created is not None:
        yield Sample(CREATED, labels, rollout.created.timestamp())


def deployment_samples(
    deployment: Deployment, replica_sets: Sequence[WatchedReplicaSet]
) -> Iterator[Sample]:
    """Describe a Deployment, with its wanted template as its ReplicaSets tell it."""
    rollout = of_deployment(deployment)
    yield from rollout_samples(rollout)
    revision = deployment.metadata.annotation(REVISION)
    for replica_set in replica_sets:
        if revision and replica_set.revision == revision:
            yield Sample(TEMPLATE, (*rollout.labels, replica_set.template_hash, revision), 1.0)
            break
    started: list[datetime] = [one.created for one in replica_sets if one.created is not None]
    if started:
        yield Sample(ROLLOUT_STARTED, rollout.labels, max(started).timestamp())


def stateful_set_samples(stateful_set: StatefulSet) -> Iterator[Sample]:
    """Describe a StatefulSet; the hash is the pods' `controller-revision-hash`."""
    rollout = of_stateful_set(stateful_set)
    yield from rollout_samples(rollout)
    revision = stateful_set.status.update_revision
    if revision:
        yield Sample(TEMPLATE, (*rollout.labels, revision, revision), 1.0)


def daemon_set_samples(daemon_set: DaemonSet) -> Iterator[Sample]:
    """Describe a DaemonSet; its templates stand in ControllerRevisions, which are not watched."""
    yield from rollout_samples(of_daemon_set(daemon_set))


class ObjectPublisher(Generic[WATCHED]):
    """Publishes each object by its uid."""

    def __init__(
        self, publisher: Publisher, samples: Callable[[WATCHED], Iterable[Sample]]
    ) -> None:
        self._publisher = publisher
        self._samples = samples
        self.on_delete = publisher.delete
        self.begin = publisher.begin
        self.sweep = publisher.sweep
        self.alive = publisher.alive
        self.failed = publisher.failed

    def on_object(self, obj: WATCHED) -> None:
        """Publish `obj`."""
        self._publisher.put(obj.metadata.uid, self._samples(obj))


class PodPublisher:
    """Publishes each pod by its uid, and the restarts per day of each workload."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._log = RestartLog()
        self._published: dict[Subject, int] = {}
        self.sweep = publisher.sweep
        self.failed = publisher.failed

    def on_object(self, obj: WatchedPod) -> None:
        """Publish a pod."""
        self._publisher.put(obj.uid, pod_samples(obj))
        subject = self._log.observe(obj, self._clock.now())
        if subject is not None:
            self._publish(subject)

    def on_delete(self, uid: str) -> None:
        """Drop a pod, and its workload's value with the last of its pods."""
        self._publisher.delete(uid)
        subject = self._log.forget(uid)
        if subject is not None:
            self._published.pop(subject, None)
            self._publisher.delete(_key(subject))

    def begin(self) -> None:
        """Everything is put anew."""
        self._published.clear()
        self._publisher.begin()

    def alive(self) -> None:
        """Let go of restarts that are older than a day; bookmarks come every minute."""
        for subject, value in self._published.items():
            if value:
                self._publish(subject)
        self._publisher.alive()

    def _publish(self, subject: Subject) -> None:
        value = self._log.per_day(subject, self._clock.now())
        if self._published.get(subject) != value:
            self._published[subject] = value
            reading = Reading("restarts_per_day", subject, float(value))
            self._publisher.put(_key(subject), (), (reading,))


def _key(subject: Subject) -> str:
    return "restarts/" + "/".join(value for _, value in subject)


class DeploymentPublisher:
    """Publishes each Deployment by its uid, again when one of its ReplicaSets changes."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.replica_sets = _ReplicaSets(self)
        self._known: dict[str, Deployment] = {}
        self.sweep = publisher.sweep
        self.alive = publisher.alive
        self.failed = publisher.failed

    def on_object(self, obj: Deployment) -> None:
        """Publish a Deployment."""
        self._known[obj.metadata.uid] = obj
        self.publish(obj.metadata.uid)

    def on_delete(self, uid: str) -> None:
        """Drop a Deployment."""
        self._known.pop(uid, None)
        self.publisher.delete(uid)

    def begin(self) -> None:
        """Forget all, for a ReplicaSet must not bring back a Deployment that the listing lacks."""
        self._known.clear()
        self.publisher.begin()

    def publish(self, uid: str) -> None:
        """Publish the Deployment with that uid, if there is one."""
        deployment = self._known.get(uid)
        if deployment is not None:
            samples = deployment_samples(deployment, self.replica_sets.of(uid))
            self.publisher.put(uid, samples)


class _ReplicaSets:
    """A follower that knows the ReplicaSets of each owner."""

    def __init__(self, deployments: DeploymentPublisher) -> None:
        self._deployments = deployments
        self._known: dict[str, WatchedReplicaSet] = {}
        self._of: dict[str, set[str]] = {}
        self.failed = deployments.publisher.failed

    def of(self, owner: str) -> list[WatchedReplicaSet]:
        return [self._known[uid] for uid in self._of.get(owner, ())]

    def on_object(self, obj: WatchedReplicaSet) -> None:
        self._known[obj.uid] = obj
        self._of.setdefault(obj.owner_uid, set()).add(obj.uid)
        self._deployments.publish(obj.owner_uid)

    def on_delete(self, uid: str) -> None:
        gone = self._known.pop(uid, None)
        if gone is not None:
            self._of[gone.owner_uid].discard(uid)
            self._deployments.publish(gone.owner_uid)

    def begin(self) -> None:
        """The shared stream deletes what is gone by itself."""

    def sweep(self) -> None:
        """Nothing of ours to drop."""

    def alive(self) -> None:
        """The Deployments' own watch tells the source's age."""


def _sources(settings: Settings, clients: Clients) -> Sequence[StreamedSource]:
    def source(name: str, run: Callable[[Publisher], Awaitable[None]]) -> StreamedSource:
        return StreamedSource(name, settings.stale_after, run)

    def objects(
        name: str, path: str, kind: type[WATCHED], samples: Callable[[WATCHED], Iterable[Sample]]
    ) -> StreamedSource:
        async def run(publisher: Publisher) -> None:
            handler = ObjectPublisher(publisher, samples)
            await Reflector(clients.kube, clients.clock, path, kind, handler).run()

        return source(name, run)

    async def pods(publisher: Publisher) -> None:
        await clients.pods.follow(PodPublisher(publisher, clients.clock))

    async def deployments(publisher: Publisher) -> None:
        handler = DeploymentPublisher(publisher)
        path = "/apis/apps/v1/deployments"
        async with asyncio.TaskGroup() as both:
            both.create_task(clients.pods.follow_replica_sets(handler.replica_sets))
            both.create_task(
                Reflector(clients.kube, clients.clock, path, Deployment, handler).run()
            )

    return (
        objects("nodes", "/api/v1/nodes", Node, node_samples),
        source("pods", pods),
        source("deployments", deployments),
        objects("statefulsets", "/apis/apps/v1/statefulsets", StatefulSet, stateful_set_samples),
        objects("daemonsets", "/apis/apps/v1/daemonsets", DaemonSet, daemon_set_samples),
    )


SPEC = CollectorSpec(
    name="kubernetes",
    help="Nodes, pods and their restarts, workloads and the state of their rollouts.",
    settings=Settings,
    metrics=(
        *(NODE_READY, NODE_UNSCHEDULABLE, NODE_INFO),
        *(POD_INFO, POD_PHASE, POD_READY, POD_RESTARTS, POD_WAITING, POD_TERMINATED),
        *(DESIRED, AVAILABLE, UPDATED, LAG, PAUSED, IN_PROGRESS),
        *(CREATED, TEMPLATE, ROLLOUT_STARTED),
    ),
    sources=_sources,
    kpis=("restarts_per_day",),
    reads_kubernetes=True,
)
