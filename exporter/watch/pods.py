"""The one pod stream of the process, with the walk from a pod up to its workload."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from typing_extensions import override

from exporter.ports import (
    ContainerView,
    Follower,
    KubeApi,
    PodView,
    Resources,
    WatchedPod,
    WatchedReplicaSet,
)
from exporter.shared.clock import Clock
from exporter.shared.kube import TEMPLATE_HASH, WORKLOAD_KINDS
from exporter.watch.objects import (
    REVISION,
    Condition,
    ContainerState,
    ContainerStatus,
    OwnerReference,
    Pod,
    ReplicaSet,
)
from exporter.watch.reflector import SILENCE, Reflector
from exporter.watch.requests import counted
from exporter.watch.shared import Shared
from exporter.watch.starting import Starting

_TYPES = {kind: workload_type for workload_type, kind in WORKLOAD_KINDS.items()}
_NO_STATE = ContainerState()
_NO_ANNOTATIONS: Mapping[str, str] = {}
_SCRAPERS = ("prometheus.io/", "runbookd.io/")
REPLICA_SETS_FIRST = timedelta(seconds=10)
"""How long the pods wait for the ReplicaSets; after that owners are told by the names' hash."""


class ContainerRecord(msgspec.Struct, gc=False):
    """ports.ContainerView."""

    name: str
    restarts: int
    waiting_reason: str | None
    ended_reason: str | None
    last_reason: str | None
    last_finished: datetime | None


class PodRecord(msgspec.Struct, gc=False):
    """ports.WatchedPod, and what resolves its owner anew."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    ip: str
    ready: bool
    """Ready as its condition says, and not being deleted."""
    deleting: bool
    workload: str
    workload_type: str
    phase: str
    reason: str
    node: str
    created: datetime | None
    containers: Sequence[ContainerView]
    requests: Resources
    limits: Resources
    reserved: Resources
    owner: OwnerReference | None


class ReplicaSetRecord(msgspec.Struct, gc=False):
    """ports.WatchedReplicaSet."""

    uid: str
    owner_kind: str
    owner_name: str
    owner_uid: str
    revision: str
    template_hash: str
    created: datetime | None


def replica_set_record(replica_set: ReplicaSet) -> ReplicaSetRecord:
    """Keep of a ReplicaSet what names its Deployment and its template."""
    meta = replica_set.metadata
    owner = meta.controller or OwnerReference()
    return ReplicaSetRecord(
        uid=meta.uid,
        owner_kind=owner.kind,
        owner_name=owner.name,
        owner_uid=owner.uid,
        revision=meta.annotation(REVISION),
        template_hash=(meta.labels or {}).get(TEMPLATE_HASH, ""),
        created=meta.creation_timestamp,
    )


def workload_of(
    owner: OwnerReference | None,
    labels: Mapping[str, str],
    replica_sets: Mapping[str, ReplicaSetRecord],
) -> tuple[str, str]:
    """Return (workload, workload_type) of a pod, both empty when nothing we know controls it.

    A ReplicaSet that is not known (yet) is a Deployment's if its name ends in the template's hash.
    """
    if owner is None:
        return "", ""
    if owner.kind != "ReplicaSet":
        return (owner.name, _TYPES[owner.kind]) if owner.kind in _TYPES else ("", "")
    known = replica_sets.get(owner.uid)
    if known is not None:
        return (known.owner_name, "deployment") if known.owner_kind == "Deployment" else ("", "")
    suffix = f"-{labels.get(TEMPLATE_HASH, '')}"
    if suffix != "-" and owner.name.endswith(suffix):
        return owner.name.removesuffix(suffix), "deployment"
    return "", ""


def container_record(status: ContainerStatus) -> ContainerRecord:
    """Keep of a container its restarts, why it waits or has ended, and how it ended before."""
    state = status.state or _NO_STATE
    over = state.terminated
    ended = (status.last_state or _NO_STATE).terminated
    return ContainerRecord(
        name=status.name,
        restarts=status.restart_count,
        waiting_reason=None if state.waiting is None else state.waiting.reason or "",
        ended_reason=None if over is None else over.reason or "",
        last_reason=None if ended is None else ended.reason or "",
        last_finished=None if ended is None else ended.finished_at,
    )


def pod_record(pod: Pod, replica_sets: Mapping[str, ReplicaSetRecord]) -> PodRecord:
    """Keep of a pod what is published and looked up."""
    meta, status = pod.metadata, pod.status
    labels = meta.labels or {}
    owner = meta.controller
    workload, workload_type = workload_of(owner, labels, replica_sets)
    amounts = counted(pod.spec)
    ready, not_scheduled = _conditions(status.conditions)
    deleting = meta.deletion_timestamp is not None
    statuses = [*(status.init_container_statuses or ()), *(status.container_statuses or ())]
    return PodRecord(
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        labels=labels,
        annotations=_for_scrapers(meta.annotations),
        ip=status.pod_ip or "",
        ready=ready and not deleting,
        deleting=deleting,
        workload=workload,
        workload_type=workload_type,
        phase=status.phase or "Unknown",
        reason=status.reason or not_scheduled,
        node=pod.spec.node_name or "",
        created=meta.creation_timestamp,
        containers=[container_record(one) for one in statuses],
        requests=amounts.requests,
        limits=amounts.limits,
        reserved=amounts.reserved,
        owner=owner,
    )


def _conditions(conditions: list[Condition] | None) -> tuple[bool, str]:
    """Return whether the pod is Ready, and why it has no node; one look, for pods are many."""
    ready, not_scheduled = False, ""
    for one in conditions or ():
        if one.type == "Ready":
            ready = one.status == "True"
        elif one.type == "PodScheduled":
            not_scheduled = one.reason or ""
    return ready, not_scheduled


def _for_scrapers(annotations: Mapping[str, str] | None) -> Mapping[str, str]:
    """Keep the annotations that speak to scrapers; others may be long."""
    if not annotations:
        return _NO_ANNOTATIONS
    kept = {key: value for key, value in annotations.items() if key.startswith(_SCRAPERS)}
    return kept or _NO_ANNOTATIONS


class _ReplicaSets(Shared[ReplicaSetRecord]):
    def __init__(self, pods: "_Pods") -> None:
        super().__init__()
        self._pods = pods
        self.first_listing = asyncio.Event()

    def on_object(self, obj: ReplicaSet) -> None:
        is_new = obj.metadata.uid not in self.objects
        self.put(replica_set_record(obj))
        if is_new:
            self._pods.resolve_again(obj.metadata.uid)

    @override
    def sweep(self) -> None:
        super().sweep()
        self.first_listing.set()


class _Pods(Shared[PodRecord]):
    def __init__(self) -> None:
        super().__init__()
        self.replica_sets = _ReplicaSets(self)

    def on_object(self, obj: Pod) -> None:
        self.put(pod_record(obj, self.replica_sets.objects))

    def resolve_again(self, replica_set_uid: str) -> None:
        """Correct the pods that came before their ReplicaSet."""
        for pod in list(self.objects.values()):
            if pod.owner is None or pod.owner.uid != replica_set_uid:
                continue
            found = workload_of(pod.owner, pod.labels, self.replica_sets.objects)
            if found != (pod.workload, pod.workload_type):
                self.put(msgspec.structs.replace(pod, workload=found[0], workload_type=found[1]))


class PodStream:
    """ports.Pods over one watch of pods and one of ReplicaSets.

    It starts when first asked, so that it costs nothing where no collector wants pods, and again
    should a bug have ended it. Its owner closes it.
    """

    def __init__(self, kube: KubeApi, clock: Clock, *, silence: timedelta = SILENCE) -> None:
        self._kube = kube
        self._clock = clock
        self._silence = silence
        self._pods = _Pods()
        self._replica_sets = self._pods.replica_sets
        self._work = Starting(self._run, "pod stream")

    @property
    def synced(self) -> bool:
        """True once the first listing is complete."""
        self._work.started()
        return self._pods.synced

    def everywhere(self) -> Sequence[WatchedPod]:
        """Return every pod, as last seen."""
        self._work.started()
        return list(self._pods.objects.values())

    def matching(self, namespace: str, selector: Mapping[str, str]) -> Sequence[PodView]:
        """Return the pods of `namespace` (empty: of all) with every label of `selector`."""
        self._work.started()
        wanted = selector.items()
        return [
            pod
            for pod in self._pods.objects.values()
            if namespace in ("", pod.namespace) and wanted <= pod.labels.items()
        ]

    async def follow(self, follower: Follower[WatchedPod]) -> None:
        """Tell `follower` of every pod until cancelled. Raises what ended the stream."""
        task = self._work.started()
        await self._pods.follow(follower)
        await task

    async def follow_replica_sets(self, follower: Follower[WatchedReplicaSet]) -> None:
        """Tell `follower` of every ReplicaSet until cancelled. Raises what ended the stream."""
        task = self._work.started()
        await self._replica_sets.follow(follower)
        await task

    async def close(self) -> None:
        """Stop watching; what was seen stays known."""
        await self._work.close()

    async def _run(self) -> None:
        replica_sets = Reflector(
            self._kube,
            self._clock,
            "/apis/apps/v1/replicasets",
            ReplicaSet,
            self._replica_sets,
            silence=self._silence,
        )
        pods = Reflector(
            self._kube, self._clock, "/api/v1/pods", Pod, self._pods, silence=self._silence
        )
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(replica_sets.run())
                with suppress(TimeoutError):
                    async with asyncio.timeout(REPLICA_SETS_FIRST.total_seconds()):
                        await self._replica_sets.first_listing.wait()
                both.create_task(pods.run())
        finally:
            self._pods.end()
            self._replica_sets.end()
