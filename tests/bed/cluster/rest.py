"""The bed's own hand on a cluster: a few plain requests, without a client library's start-up."""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

AGENT = "bed"
"""The bed's own requests: neither on record nor hit by faults."""
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
PLURALS = {
    "Namespace": "namespaces",
    "Node": "nodes",
    "Pod": "pods",
    "Service": "services",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Event": "events",
    "ServiceAccount": "serviceaccounts",
    "Deployment": "deployments",
    "ReplicaSet": "replicasets",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Job": "jobs",
    "CronJob": "cronjobs",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "EndpointSlice": "endpointslices",
}
GROUPS = {
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet"), "apis/apps/v1"),
    **dict.fromkeys(("Job", "CronJob"), "apis/batch/v1"),
    "HorizontalPodAutoscaler": "apis/autoscaling/v2",
    "PodDisruptionBudget": "apis/policy/v1",
    "EndpointSlice": "apis/discovery.k8s.io/v1",
}
WHOLE_CLUSTER = {"Namespace", "Node"}


class ClusterError(Exception):
    """The API server refused what the bed asked for."""


def path_of(kind: str, namespace: str = "", name: str = "") -> str:
    """Return the path of an object or of a collection. Raises KeyError for an unknown kind."""
    prefix = "/" + GROUPS.get(kind, "api/v1")
    place = f"/namespaces/{namespace}" if namespace and kind not in WHOLE_CLUSTER else ""
    return f"{prefix}{place}/{PLURALS[kind]}" + (f"/{name}" if name else "")


@dataclass(frozen=True, slots=True)
class Rest:
    """Requests to one API server."""

    session: aiohttp.ClientSession

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        absent_is_fine: bool = False,
    ) -> dict[str, object] | None:
        """Return the answer; None for a 404 that is fine. Raises ClusterError."""
        headers = {"Content-Type": content_type}
        async with self.session.request(method, path, json=body, headers=headers) as response:
            if response.status == 404 and absent_is_fine:
                return None
            if response.status >= 400:
                raise ClusterError(f"{method} {path}: {response.status} {await response.text()}")
            answer: dict[str, object] = await response.json()
            return answer

    async def apply(self, manifest: Mapping[str, object]) -> None:
        """Merge the manifest into the object, or create it. Raises ClusterError."""
        kind, metadata = str(manifest["kind"]), manifest["metadata"]
        if not isinstance(metadata, dict):
            raise TypeError("a manifest has metadata")
        namespace = str(metadata.get("namespace", "default"))
        name = str(metadata["name"])
        merged = await self.send(
            "PATCH",
            path_of(kind, namespace, name),
            manifest,
            content_type=STRATEGIC_PATCH,
            absent_is_fine=True,
        )
        if merged is None:
            await self.send("POST", path_of(kind, namespace), manifest)
