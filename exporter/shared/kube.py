"""What both programs read of Kubernetes: small frozen views, and the protocol that yields them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

Labels = Mapping[str, str]

WORKLOAD_KINDS: Mapping[str, str] = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
}
"""`workload_type` label value (kubernetes-mixin's names) → Kubernetes kind."""

TEMPLATE_HASH = "pod-template-hash"
"""Label that the Deployment controller puts on ReplicaSets and pods."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The controlling ownerReference of an object."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet, as far as decisions need it."""

    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str
    generation: int
    observed_generation: int
    labels: Labels
    annotations: Labels
    template_annotations: Labels
    selector: Labels
    replicas: int
    """Wanted pods; a DaemonSet's are those scheduled."""
    updated: int
    ready: int
    available: int
    total: int
    """Pods that exist now, of the old template and the new."""
    paused: bool
    revision: str
    """`deployment.kubernetes.io/revision` or the StatefulSet's update revision; may be empty."""
    progressing_reason: str
    """Reason of the Progressing condition (`ProgressDeadlineExceeded`, ...); may be empty."""
    created: datetime | None = None
    progressing_at: datetime | None = None
    """When the Progressing condition was last updated, in whole seconds."""

    @property
    def rolled_out(self) -> bool:
        """True when every wanted pod runs the newest template and none of an older one is left.

        The same test as `kubectl rollout status`.
        """
        return (
            self.observed_generation >= self.generation
            and self.updated >= self.replicas
            and self.total <= self.updated
            and self.available >= self.updated
        )


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """One template in a Deployment's history."""

    name: str
    uid: str
    revision: int
    template_hash: str
    replicas: int
    created: datetime | None
    images: tuple[str, ...]
    template: Mapping[str, object] = field(repr=False)
    """The pod template as JSON, `pod-template-hash` label included."""
    annotations: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """A HorizontalPodAutoscaler: who really decides how many pods its workload has."""

    name: str
    uid: str
    resource_version: str
    annotations: Labels
    minimum: int
    """1 where its owner left it out, as the API server has it."""
    maximum: int


@dataclass(frozen=True, slots=True)
class Container:
    """A container's state in a pod."""

    name: str
    image: str
    ready: bool
    restarts: int
    state: str
    """`running`, `waiting` or `terminated`."""
    reason: str
    """Why it waits or ended (`CrashLoopBackOff`, ...); may be empty."""
    last_reason: str
    """Why it ended the time before (`OOMKilled`, `Error`, ...); may be empty."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, as far as decisions need it."""

    namespace: str
    name: str
    uid: str
    labels: Labels
    phase: str
    ready: bool
    ip: str
    node: str
    owner: Owner | None
    containers: tuple[Container, ...]
    deleting: bool = False
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A node's name, readiness and schedulability."""

    name: str
    ready: bool
    unschedulable: bool
    version: str
    conditions: Labels
    """Condition type → status (`True`, `False`, `Unknown`)."""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event (core/v1), newest time first in every listing."""

    at: datetime | None
    type: str
    reason: str
    message: str
    object: str
    """`Kind/name` of what it is about."""
    namespace: str
    count: int


class KubeReader(Protocol):
    """Reads of the API server. All raise TransientError (away, 429, 5xx) or PermanentError."""

    async def workload(self, kind: str, namespace: str, name: str) -> Workload | None:
        """Return the workload (`kind` as Kubernetes writes it), or None when there is none."""
        ...

    async def workloads(self, namespace: str | None = None) -> Sequence[Workload]:
        """Return all workloads, of one namespace or of all."""
        ...

    async def replica_sets(self, deployment: Workload) -> Sequence[ReplicaSet]:
        """Return the ReplicaSets that `deployment` controls, newest revision first."""
        ...

    async def autoscaler(self, workload: Workload) -> Autoscaler | None:
        """Return the autoscaler that scales `workload`, or None when there is none."""
        ...

    async def pod(self, namespace: str, name: str) -> Pod | None:
        """Return the pod, or None when there is none."""
        ...

    async def pods(
        self, namespace: str | None = None, selector: Labels | None = None
    ) -> Sequence[Pod]:
        """Return pods, of one namespace or of all, that carry every label of `selector`."""
        ...

    async def nodes(self) -> Sequence[Node]:
        """Return all nodes."""
        ...

    async def events(
        self, namespace: str | None = None, *, involved: str | None = None, limit: int = 20
    ) -> Sequence[Event]:
        """Return the newest events, of one namespace or all, about one object name or any."""
        ...

    async def logs(
        self, namespace: str, pod: str, container: str, *, previous: bool = False, tail: int = 100
    ) -> str:
        """Return the last `tail` lines of a container's log, or of its previous incarnation's."""
        ...

    async def describe(self, kind: str, namespace: str, name: str) -> Mapping[str, object] | None:
        """Return the object as the API server gives it (JSON), or None when there is none."""
        ...

    async def workload_of_pod(self, pod: Pod) -> tuple[str, str] | None:
        """Walk the controllers of `pod` up to its workload (kind, name), or None."""
        ...
