"""The API server, as the responder reads and changes it."""

import asyncio
import heapq
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec

from exporter.shared import kube
from exporter.shared.errors import GoneError, NotFoundError, PermanentError, TransientError
from exporter.shared.kube_client import KubeConnection
from responder.domain.values import JsonObject, Target
from responder.gateways import kube_views

DEADLINE = timedelta(seconds=10)
"""For one read; the API server's own goal is a p99 of 1 s, of 30 s for a list of everything."""

WRITE_DEADLINE = timedelta(seconds=30)
"""For one write: giving up early makes an unknown of what the API server was about to do."""

FIELD_MANAGER = "runbookd"

PAGE = 500
"""Objects asked for at once, as kubectl does."""

LOG_BYTES = 1024 * 1024
"""More than this of a log is never read: a line can be as long as a program likes."""

THROTTLED_TRIES = 3
PATIENCE = timedelta(seconds=5)
"""A read that is told to come back (429) waits at most this; longer is the engine's to wait."""

RESOURCES: Mapping[str, str] = {
    "Pod": "api/v1/{}pods",
    "Service": "api/v1/{}services",
    "Node": "api/v1/nodes",
    "Deployment": "apis/apps/v1/{}deployments",
    "StatefulSet": "apis/apps/v1/{}statefulsets",
    "DaemonSet": "apis/apps/v1/{}daemonsets",
    "ReplicaSet": "apis/apps/v1/{}replicasets",
    "Event": "api/v1/{}events",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2/{}horizontalpodautoscalers",
}
"""Kind → path of its list; `{}` takes the namespace."""

T = TypeVar("T")
ViewT = TypeVar("ViewT")


def path_of(kind: str, namespace: str | None, name: str | None = None) -> str:
    """Return the path of an object, or of a list. Raises PermanentError for an unknown kind."""
    pattern = RESOURCES.get(kind)
    if pattern is None:
        raise PermanentError(f"{kind} is not a kind that runbooks read or change")
    inside = f"namespaces/{quote(namespace, safe='')}/" if namespace else ""
    return "/" + pattern.format(inside) + (f"/{quote(name, safe='')}" if name else "")


class KubeGateway:
    """Implements exporter.shared.kube.KubeReader and responder.contract.KubeWriter."""

    def __init__(self, connection: KubeConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, kubeconfig: Path | None, *, user_agent: str) -> "KubeGateway":
        """Connect. Raises PermanentError when the kubeconfig cannot be read."""
        return cls(await KubeConnection.open(kubeconfig, user_agent=user_agent))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def workload(self, kind: str, namespace: str, name: str) -> kube.Workload | None:
        """Return the workload, or None. Raises PermanentError when `kind` is none of a workload."""
        if kind not in kube.WORKLOAD_KINDS.values():
            raise PermanentError(f"{kind} is not a workload")
        found = await self._get(path_of(kind, namespace, name), kube_views.Workload)
        return found.view(kind) if found else None

    async def workloads(self, namespace: str | None = None) -> Sequence[kube.Workload]:
        """Return all workloads, Deployments first."""
        return [
            found.view(kind)
            for kind in kube.WORKLOAD_KINDS.values()
            for found in await self._list(path_of(kind, namespace), kube_views.Workload)
        ]

    async def replica_sets(self, deployment: kube.Workload) -> Sequence[kube.ReplicaSet]:
        """Return the ReplicaSets that `deployment` controls, newest revision first."""
        found = await self._list(
            path_of("ReplicaSet", deployment.namespace),
            kube_views.ReplicaSet,
            labelSelector=_selector(deployment.selector),
        )
        owned = [one.view() for one in found if _is_controlled(one.metadata, deployment.uid)]
        return sorted(owned, key=lambda one: one.revision, reverse=True)

    async def autoscaler(self, workload: kube.Workload) -> kube.Autoscaler | None:
        """Return the autoscaler that scales `workload`, or None when there is none."""
        path = path_of("HorizontalPodAutoscaler", workload.namespace)
        found = await self._list(path, kube_views.Autoscaler)
        return next((one.view() for one in found if one.scales(workload)), None)

    async def pod(self, namespace: str, name: str) -> kube.Pod | None:
        """Return the pod, or None when there is none."""
        found = await self._get(path_of("Pod", namespace, name), kube_views.Pod)
        return found.view() if found else None

    async def pods(
        self, namespace: str | None = None, selector: kube.Labels | None = None
    ) -> Sequence[kube.Pod]:
        """Return pods, of one namespace or of all, that carry every label of `selector`."""
        query = {"labelSelector": _selector(selector)} if selector else {}
        found = await self._list(path_of("Pod", namespace), kube_views.Pod, **query)
        return [one.view() for one in found]

    async def nodes(self) -> Sequence[kube.Node]:
        """Return all nodes."""
        return [one.view() for one in await self._list(path_of("Node", None), kube_views.Node)]

    async def events(
        self, namespace: str | None = None, *, involved: str | None = None, limit: int = 20
    ) -> Sequence[kube.Event]:
        """Return the newest events. All are read for it: the API server cannot sort."""
        query = {"fieldSelector": f"involvedObject.name={involved}"} if involved else {}
        found = await self._list(path_of("Event", namespace), kube_views.Event, **query)
        never = datetime.min.replace(tzinfo=UTC)
        views = (one.view() for one in found)
        return heapq.nlargest(limit, views, key=lambda one: one.at or never)

    async def logs(
        self, namespace: str, pod: str, container: str, *, previous: bool = False, tail: int = 100
    ) -> str:
        """Return the last `tail` lines of a log. Raises PermanentError when none is kept."""
        query = {"container": container, "tailLines": str(tail), "limitBytes": str(LOG_BYTES)}
        if previous:
            query["previous"] = "true"
        body = await self._read(f"{path_of('Pod', namespace, pod)}/log", query)
        return body.decode(errors="replace")

    async def describe(self, kind: str, namespace: str, name: str) -> Mapping[str, object] | None:
        """Return the object without `managedFields`, which no reader of evidence wants."""
        found = await self._get(path_of(kind, namespace, name), dict[str, object])
        metadata = found.get("metadata") if found else None
        if isinstance(metadata, dict):
            metadata.pop("managedFields", None)
        return found

    async def workload_of_pod(self, pod: kube.Pod) -> tuple[str, str] | None:
        """Walk the controllers of `pod` up to its workload (kind, name), or None."""
        owner = pod.owner
        if owner is not None and owner.kind == "ReplicaSet":
            path = path_of("ReplicaSet", pod.namespace, owner.name)
            replica_set = await self._get(path, kube_views.ReplicaSet)
            owner = replica_set.metadata.controller() if replica_set else None
        if owner is None or owner.kind not in kube.WORKLOAD_KINDS.values():
            return None
        return owner.kind, owner.name

    async def merge_patch(self, target: Target, patch: JsonObject) -> None:
        """Apply a JSON merge patch; `metadata.resourceVersion` in it makes it conditional."""
        await self._patch(target, patch, "application/merge-patch+json")

    async def json_patch(self, target: Target, operations: Sequence[JsonObject]) -> None:
        """Apply a JSON patch; replacing /metadata/resourceVersion makes it conditional."""
        await self._patch(target, operations, "application/json-patch+json")

    async def _patch(
        self, target: Target, patch: JsonObject | Sequence[JsonObject], content_type: str
    ) -> None:
        await self._connection.request(
            "PATCH",
            path_of(target.kind, target.namespace, target.name),
            query={"fieldManager": FIELD_MANAGER},
            body=msgspec.json.encode(patch),
            content_type=content_type,
            deadline=WRITE_DEADLINE,
        )

    async def _get(self, path: str, shape: type[T]) -> T | None:
        try:
            return _decode(await self._read(path, {}), shape, path)
        except NotFoundError:
            return None

    async def _list(self, path: str, shape: type[T], **query: str) -> list[T]:
        items: list[T] = []
        query = {"limit": str(PAGE), **query}
        while True:
            body = await self._read(path, query)
            page = _decode(body, kube_views.Listing[shape], path)  # type: ignore[valid-type]  # msgspec reads the parameter at run time
            items += page.items or ()
            if not page.metadata.continue_:
                return items
            query["continue"] = page.metadata.continue_

    async def _read(self, path: str, query: Mapping[str, str]) -> bytes:
        for last in (False,) * (THROTTLED_TRIES - 1) + (True,):
            try:
                return await self._connection.request("GET", path, query=query, deadline=DEADLINE)
            except (
                GoneError
            ) as error:  # a page's token grew too old: the whole list must be read anew
                raise TransientError(str(error)) from error
            except TransientError as error:
                if last or error.retry_after is None or error.retry_after > PATIENCE:
                    raise
                await asyncio.sleep(error.retry_after.total_seconds())
        raise AssertionError("unreachable")


def _decode(body: bytes, shape: type[T], path: str) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError as error:
        raise PermanentError(f"GET {path}: not the answer of an API server: {error}") from error


def _selector(labels: kube.Labels) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _is_controlled(metadata: kube_views.Meta, uid: str) -> bool:
    owner = metadata.controller()
    return owner is not None and owner.uid == uid
