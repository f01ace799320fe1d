"""The state of a workload in one shape, whichever of the three kinds it is."""

from dataclasses import dataclass
from datetime import datetime

from exporter.watch.objects import DaemonSet, Deployment, Meta, StatefulSet


@dataclass(frozen=True, slots=True)
class Rollout:
    """What a workload wants, what it has, and whether it is on its way."""

    namespace: str
    workload: str
    workload_type: str
    desired: int
    updated: int
    available: int
    lag: int
    """Generations that the controller has not looked at yet."""
    in_progress: bool
    """`kubectl rollout status` would wait."""
    created: datetime | None
    paused: bool = False

    @property
    def labels(self) -> tuple[str, str, str]:
        """Values of namespace, workload and workload_type."""
        return self.namespace, self.workload, self.workload_type


def of_deployment(deployment: Deployment) -> Rollout:
    """Read a Deployment; its replicas default to 1."""
    meta, spec, status = deployment.metadata, deployment.spec, deployment.status
    desired = 1 if spec.replicas is None else spec.replicas
    lag = _lag(meta, status.observed_generation)
    return Rollout(
        *_named(meta, "deployment"),
        desired=desired,
        updated=status.updated_replicas,
        available=status.available_replicas,
        lag=lag,
        in_progress=(
            lag > 0
            or status.updated_replicas < desired
            or status.replicas > status.updated_replicas
            or status.available_replicas < status.updated_replicas
        ),
        created=meta.creation_timestamp,
        paused=spec.paused or False,
    )


def of_stateful_set(stateful_set: StatefulSet) -> Rollout:
    """Read a StatefulSet; pods below its partition keep the old template on purpose."""
    meta, spec, status = stateful_set.metadata, stateful_set.spec, stateful_set.status
    desired = 1 if spec.replicas is None else spec.replicas
    lag = _lag(meta, status.observed_generation)
    rolling = spec.update_strategy.rolling_update
    partition = 0 if rolling is None or rolling.partition is None else rolling.partition
    if spec.update_strategy.type == "OnDelete":
        updating = False
    elif partition:
        updating = status.updated_replicas < desired - partition
    else:
        updating = status.update_revision != status.current_revision
    return Rollout(
        *_named(meta, "statefulset"),
        desired=desired,
        updated=status.updated_replicas,
        available=status.available_replicas,
        lag=lag,
        in_progress=lag > 0 or updating or status.available_replicas < desired,
        created=meta.creation_timestamp,
    )


def of_daemon_set(daemon_set: DaemonSet) -> Rollout:
    """Read a DaemonSet; it wants as many pods as nodes take it."""
    meta, status = daemon_set.metadata, daemon_set.status
    desired = status.desired_number_scheduled
    lag = _lag(meta, status.observed_generation)
    updating = status.updated_number_scheduled < desired or status.number_available < desired
    by_hand = daemon_set.spec.update_strategy.type == "OnDelete"
    return Rollout(
        *_named(meta, "daemonset"),
        desired=desired,
        updated=status.updated_number_scheduled,
        available=status.number_available,
        lag=lag,
        in_progress=lag > 0 or (updating and not by_hand),
        created=meta.creation_timestamp,
    )


def _named(meta: Meta, workload_type: str) -> tuple[str, str, str]:
    return meta.namespace, meta.name, workload_type


def _lag(meta: Meta, observed: int) -> int:
    return max(0, meta.generation - observed)
