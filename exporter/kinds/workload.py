"""Deployments, StatefulSets and DaemonSets, and the state of their rollouts."""

from collections.abc import Iterator, Sequence

from exporter.contract import Publisher, Sample
from exporter.kinds.words import bounded, gauge
from exporter.kpi import WORKLOAD
from exporter.ports import WatchedReplicaSet
from exporter.watch.objects import REVISION, DaemonSet, Deployment, StatefulSet, condition
from exporter.watch.rollout import Rollout, of_daemon_set, of_deployment, of_stateful_set

DESIRED = gauge("kpi_workload_replicas_desired", "Pods wanted.", WORKLOAD)
AVAILABLE = gauge("kpi_workload_replicas_available", "Pods available.", WORKLOAD)
UPDATED = gauge("kpi_workload_replicas_updated", "Pods of the newest template.", WORKLOAD)
LAG = gauge("kpi_workload_generation_lag", "Generations not seen by the controller yet.", WORKLOAD)
PAUSED = gauge("kpi_workload_paused", "1 if rollouts of the workload are paused.", WORKLOAD)
IN_PROGRESS = gauge("kpi_workload_rollout_in_progress", "1 if a rollout is not complete.", WORKLOAD)
PROGRESSING = gauge(
    "kpi_workload_progressing_reason",
    "1 for what the controller says of the rollout; Deployments only.",
    (*WORKLOAD, "reason"),
)
CREATED = gauge(
    "kpi_workload_created_timestamp_seconds", "When the workload was created.", WORKLOAD
)
TEMPLATE = gauge(
    "kpi_workload_template_info",
    "Hash and revision of the pod template that is wanted now; none of DaemonSets.",
    (*WORKLOAD, "template_hash", "revision"),
)
ROLLOUT_STARTED = gauge(
    "kpi_workload_rollout_started_timestamp_seconds",
    "When the newest ReplicaSet was created; Deployments only.",
    WORKLOAD,
)

METRICS = (
    *(DESIRED, AVAILABLE, UPDATED, LAG, PAUSED, IN_PROGRESS, PROGRESSING),
    *(CREATED, TEMPLATE, ROLLOUT_STARTED),
)

PROGRESSING_REASONS = frozenset(
    {
        "DeploymentPaused",
        "DeploymentResumed",
        "FoundNewReplicaSet",
        "NewReplicaSetAvailable",
        "NewReplicaSetCreated",
        "ProgressDeadlineExceeded",
        "ReplicaSetCreateError",
        "ReplicaSetUpdated",
    }
)
"""All that the Deployment controller says (`deploymentutil`'s constants)."""


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
    progressing = condition(deployment.status.conditions, "Progressing")
    if progressing is not None and progressing.reason:
        reason = bounded(progressing.reason, PROGRESSING_REASONS)
        yield Sample(PROGRESSING, (*rollout.labels, reason), 1.0)
    revision = deployment.metadata.annotation(REVISION)
    for replica_set in replica_sets:
        if revision and replica_set.revision == revision:
            yield Sample(TEMPLATE, (*rollout.labels, replica_set.template_hash, revision), 1.0)
            break
    started = [one.created for one in replica_sets if one.created is not None]
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
