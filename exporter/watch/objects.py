"""What we read of Kubernetes objects, and not a field more: msgspec skips the rest undecoded.

Every field may be missing and every one that Go may write as null may be null, because the API
leaves out what is empty. The Structs hold no cycles, so the garbage collector need not look at
them.
"""
# ruff: noqa: D101 - the classes are Kubernetes' own, under their own names

from datetime import datetime
from typing import Generic, Protocol, TypeVar

import msgspec

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""Annotation of the bookmark that ends a WatchList's listing."""
REVISION = "deployment.kubernetes.io/revision"


class View(msgspec.Struct, gc=False, frozen=True, rename="camel"):
    """A part of an object, in the API's own spelling on the wire."""


class OwnerReference(View, frozen=True):
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Meta(View, frozen=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages the object, of which there is one at most."""
        for owner in self.owner_references or ():
            if owner.controller:
                return owner
        return None

    def annotation(self, key: str) -> str:
        """Return an annotation, or an empty string."""
        return (self.annotations or {}).get(key, "")


NO_META = Meta()


class Watched(Protocol):
    """Every kind that can be watched."""

    @property
    def metadata(self) -> Meta:
        """Name, uid, version, labels and owners."""
        ...


T = TypeVar("T")


class ListMeta(View, frozen=True):
    resource_version: str = ""
    continue_: str | None = msgspec.field(default=None, name="continue")


class Page(View, Generic[T], frozen=True):
    """One page of a list."""

    metadata: ListMeta = ListMeta()
    items: list[T] | None = None


class Event(View, Generic[T], frozen=True):
    """One line of a watch; a bookmark's object is one of the kind with its metadata alone."""

    type: str
    object: T


class Status(View, frozen=True):
    """What an ERROR tells."""

    code: int = 0
    reason: str | None = None
    message: str | None = None


class ErrorEvent(View, frozen=True, tag_field="type", tag="ERROR"):
    """The line that ends a watch before its time."""

    object: Status = Status()


class Condition(View, frozen=True):
    type: str = ""
    status: str = ""
    reason: str | None = None


def condition(conditions: list[Condition] | None, kind: str) -> Condition | None:
    """Return the condition of that type, or None."""
    return next((one for one in conditions or () if one.type == kind), None)


def holds(conditions: list[Condition] | None, kind: str) -> bool:
    """Say whether the condition of that type is there and true."""
    return any(one.type == kind and one.status == "True" for one in conditions or ())


class Taint(View, frozen=True):
    effect: str = ""


class NodeSpec(View, frozen=True):
    unschedulable: bool | None = None
    taints: list[Taint] | None = None


class NodeInfo(View, frozen=True):
    kubelet_version: str = ""
    container_runtime_version: str = ""
    kernel_version: str = ""
    os_image: str = ""


class NodeStatus(View, frozen=True):
    conditions: list[Condition] | None = None
    node_info: NodeInfo = NodeInfo()
    capacity: dict[str, str] | None = None
    allocatable: dict[str, str] | None = None


class Node(View, frozen=True):
    metadata: Meta = NO_META
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Waiting(View, frozen=True):
    reason: str | None = None


class Terminated(View, frozen=True):
    reason: str | None = None
    finished_at: datetime | None = None


class ContainerState(View, frozen=True):
    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(View, frozen=True):
    name: str = ""
    restart_count: int = 0
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class Amounts(View, frozen=True):
    """Quantities of a resource list, as far as we count them."""

    cpu: str | None = None
    memory: str | None = None


class Requirements(View, frozen=True):
    requests: Amounts | None = None
    limits: Amounts | None = None


class Container(View, frozen=True):
    resources: Requirements | None = None
    restart_policy: str | None = None
    """`Always` for an init container that stays (a sidecar)."""


class PodSpec(View, frozen=True):
    node_name: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    resources: Requirements | None = None
    """Of the pod as a whole (1.34); they stand above its containers'."""
    overhead: Amounts | None = None


class PodStatus(View, frozen=True):
    phase: str | None = None
    reason: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class Pod(View, frozen=True):
    metadata: Meta = NO_META
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ReplicaSet(View, frozen=True):
    metadata: Meta = NO_META


class DeploymentSpec(View, frozen=True):
    replicas: int | None = None
    paused: bool | None = None


class DeploymentStatus(View, frozen=True):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    conditions: list[Condition] | None = None


class Deployment(View, frozen=True):
    metadata: Meta = NO_META
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class RollingUpdate(View, frozen=True):
    partition: int | None = None


class UpdateStrategy(View, frozen=True):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class StatefulSetSpec(View, frozen=True):
    replicas: int | None = None
    update_strategy: UpdateStrategy = UpdateStrategy()


class StatefulSetStatus(View, frozen=True):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""


class StatefulSet(View, frozen=True):
    metadata: Meta = NO_META
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class DaemonSetSpec(View, frozen=True):
    update_strategy: UpdateStrategy = UpdateStrategy()


class DaemonSetStatus(View, frozen=True):
    observed_generation: int = 0
    desired_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0


class DaemonSet(View, frozen=True):
    metadata: Meta = NO_META
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()
