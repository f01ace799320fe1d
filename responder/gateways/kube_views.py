# ruff: noqa: D101 - the structs are the API's kinds, documented by Kubernetes
"""The API server's JSON → the views of exporter.shared.kube.

Only the fields that the views need are declared, each under the API's own name; msgspec skips all
others while it decodes.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType, field

from exporter.shared import kube

ItemT = TypeVar("ItemT")

REVISION = "deployment.kubernetes.io/revision"


class OwnerReference(Struct, rename="camel"):
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class Meta(Struct, rename="camel"):
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
    continue_: str = field(default="", name="continue")
    """Set on lists only: where the next page starts."""

    def controller(self) -> kube.Owner | None:
        """Return the owner that controls the object."""
        for owner in self.owner_references or ():
            if owner.controller:
                return kube.Owner(owner.kind, owner.name, owner.uid)
        return None


class Listing(Struct, Generic[ItemT]):
    """One page of a list."""

    items: list[ItemT] | None = None
    metadata: Meta = field(default_factory=Meta)


class Condition(Struct, rename="camel"):
    type: str
    status: str = ""
    reason: str = ""
    last_update_time: datetime | None = None


class Selector(Struct, rename="camel"):
    match_labels: dict[str, str] | None = None


class Template(Struct):
    metadata: Meta = field(default_factory=Meta)


class WorkloadSpec(Struct):
    replicas: int = 1
    paused: bool = False
    selector: Selector = field(default_factory=Selector)
    template: Template = field(default_factory=Template)


class WorkloadStatus(Struct, rename="camel"):
    """Fields of all three kinds; a DaemonSet counts under names of its own."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    update_revision: str = ""
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_ready: int = 0
    number_available: int = 0
    conditions: list[Condition] | None = None


class Workload(Struct):
    metadata: Meta
    spec: WorkloadSpec
    status: WorkloadStatus = field(default_factory=WorkloadStatus)

    def view(self, kind: str) -> kube.Workload:
        """Return the workload as decisions see it."""
        meta, spec, status = self.metadata, self.spec, self.status
        replicas, updated, ready, available, total = (
            spec.replicas,
            status.updated_replicas,
            status.ready_replicas,
            status.available_replicas,
            status.replicas,
        )
        if kind == "DaemonSet":
            replicas, updated, ready, available, total = (
                status.desired_number_scheduled,
                status.updated_number_scheduled,
                status.number_ready,
                status.number_available,
                status.current_number_scheduled,
            )
        progressing = [one for one in status.conditions or () if one.type == "Progressing"]
        annotations = meta.annotations or {}
        return kube.Workload(
            kind=kind,
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            resource_version=meta.resource_version,
            generation=meta.generation,
            observed_generation=status.observed_generation,
            labels=meta.labels or {},
            annotations=annotations,
            template_annotations=spec.template.metadata.annotations or {},
            selector=spec.selector.match_labels or {},
            replicas=replicas,
            updated=updated,
            ready=ready,
            available=available,
            total=total,
            paused=spec.paused,
            revision=annotations.get(REVISION, "") or status.update_revision,
            progressing_reason=progressing[0].reason if progressing else "",
            created=meta.creation_timestamp,
            progressing_at=progressing[0].last_update_time if progressing else None,
        )


class ReplicaSetSpec(Struct):
    replicas: int = 1
    template: dict[str, object] = field(default_factory=dict)


class ReplicaSet(Struct):
    metadata: Meta
    spec: ReplicaSetSpec

    def view(self) -> kube.ReplicaSet:
        """Return the ReplicaSet as decisions see it."""
        meta = self.metadata
        annotations = meta.annotations or {}
        revision = annotations.get(REVISION, "")
        return kube.ReplicaSet(
            name=meta.name,
            uid=meta.uid,
            revision=int(revision) if revision.isdecimal() else 0,
            template_hash=(meta.labels or {}).get(kube.TEMPLATE_HASH, ""),
            replicas=self.spec.replicas,
            created=meta.creation_timestamp,
            images=images(self.spec.template),
            template=self.spec.template,
            annotations=annotations,
        )


class ScaleTarget(Struct):
    kind: str = ""
    name: str = ""


class AutoscalerSpec(Struct, rename="camel"):
    scale_target_ref: ScaleTarget = field(default_factory=ScaleTarget)
    min_replicas: int = 1
    max_replicas: int = 1


class Autoscaler(Struct):
    metadata: Meta
    spec: AutoscalerSpec

    def scales(self, workload: kube.Workload) -> bool:
        """Say whether `workload` is what it scales."""
        ref = self.spec.scale_target_ref
        return (ref.kind, ref.name) == (workload.kind, workload.name)

    def view(self) -> kube.Autoscaler:
        """Return the autoscaler as decisions see it."""
        return kube.Autoscaler(
            name=self.metadata.name,
            uid=self.metadata.uid,
            resource_version=self.metadata.resource_version,
            annotations=self.metadata.annotations or {},
            minimum=self.spec.min_replicas,
            maximum=self.spec.max_replicas,
        )


def images(template: Mapping[str, object]) -> tuple[str, ...]:
    """Return the images of a pod template's containers, in its order."""
    spec = template.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    return tuple(
        str(container.get("image", ""))
        for container in (containers if isinstance(containers, list) else ())
        if isinstance(container, dict)
    )


class ContainerSpec(Struct):
    name: str
    image: str = ""


class Ended(Struct):
    """A waiting or terminated state."""

    reason: str = ""


class ContainerState(Struct):
    running: dict[str, object] | UnsetType = UNSET
    waiting: Ended | UnsetType = UNSET
    terminated: Ended | UnsetType = UNSET

    def view(self) -> tuple[str, str]:
        """Return the state's name and its reason."""
        if self.running is not UNSET:
            return "running", ""
        if self.terminated is not UNSET:
            return "terminated", self.terminated.reason
        return "waiting", "" if self.waiting is UNSET else self.waiting.reason


class ContainerStatus(Struct, rename="camel"):
    name: str
    image: str = ""
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = field(default_factory=ContainerState)
    last_state: ContainerState = field(default_factory=ContainerState)

    def view(self, image: str) -> kube.Container:
        """Return the container; `image` is the one its pod asks for."""
        state, reason = self.state.view()
        last_state, last_reason = self.last_state.view()
        return kube.Container(
            name=self.name,
            image=image or self.image,
            ready=self.ready,
            restarts=self.restart_count,
            state=state,
            reason=reason,
            last_reason=last_reason if last_state == "terminated" else "",
        )


class PodSpec(Struct, rename="camel"):
    containers: list[ContainerSpec] = field(default_factory=list)
    node_name: str = ""


class PodStatus(Struct, rename="camel"):
    phase: str = ""
    pod_ip: str = field(default="", name="podIP")
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(Struct):
    metadata: Meta
    spec: PodSpec = field(default_factory=PodSpec)
    status: PodStatus = field(default_factory=PodStatus)

    def view(self) -> kube.Pod:
        """Return the pod; containers that never started are waiting without a reason."""
        meta, status = self.metadata, self.status
        known = {one.name: one for one in status.container_statuses or ()}
        return kube.Pod(
            namespace=meta.namespace,
            name=meta.name,
            uid=meta.uid,
            labels=meta.labels or {},
            phase=status.phase,
            ready=any(one.type == "Ready" and one.status == "True" for one in _of(status)),
            ip=status.pod_ip,
            node=self.spec.node_name,
            owner=meta.controller(),
            containers=tuple(
                known.get(one.name, ContainerStatus(one.name)).view(one.image)
                for one in self.spec.containers
            ),
            deleting=meta.deletion_timestamp is not None,
            created=meta.creation_timestamp,
        )


class NodeSpec(Struct):
    unschedulable: bool = False


class NodeSystem(Struct, rename="camel"):
    kubelet_version: str = ""


class NodeStatus(Struct, rename="camel"):
    conditions: list[Condition] | None = None
    node_info: NodeSystem = field(default_factory=NodeSystem)


class Node(Struct):
    metadata: Meta
    spec: NodeSpec = field(default_factory=NodeSpec)
    status: NodeStatus = field(default_factory=NodeStatus)

    def view(self) -> kube.Node:
        """Return the node as decisions see it."""
        conditions = {one.type: one.status for one in _of(self.status)}
        return kube.Node(
            name=self.metadata.name,
            ready=conditions.get("Ready") == "True",
            unschedulable=self.spec.unschedulable,
            version=self.status.node_info.kubelet_version,
            conditions=conditions,
        )


class Involved(Struct):
    kind: str = ""
    name: str = ""


class EventSeries(Struct, rename="camel"):
    count: int = 0
    last_observed_time: datetime | None = None


class Event(Struct, rename="camel"):
    metadata: Meta
    involved_object: Involved = field(default_factory=Involved)
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None

    def view(self) -> kube.Event:
        """Return the event at its last occurrence, whichever of the two APIs recorded it."""
        again = self.series.last_observed_time if self.series else None
        about = self.involved_object
        return kube.Event(
            at=again or self.last_timestamp or self.event_time or self.metadata.creation_timestamp,
            type=self.type,
            reason=self.reason,
            message=self.message,
            object=f"{about.kind}/{about.name}",
            namespace=self.metadata.namespace,
            count=(self.series.count if self.series else self.count) or 1,
        )


def _of(status: PodStatus | NodeStatus) -> list[Condition]:
    return status.conditions or []
