"""`python -m tests.bed.cluster.real.record`: writes tests/data/kubernetes_states.

What belongs to the machine is replaced, and what fills a page without telling anything left out.
"""

import asyncio
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bed.cluster.client import at, items
from tests.bed.cluster.real import RealCluster, Wanted
from tests.bed.cluster.real.keys import NODE
from tests.bed.cluster.real.recorded_states import GONE_NODE, NAMESPACE, RUNNING, manifests
from tests.bed.process import wait_until

FOLDER = Path(__file__).parents[3] / "data" / "kubernetes_states"
SETTLE_SECONDS = 240.0
"""A lost node is noticed after 50 s, a CronJob runs within 60 s, scaling starts after 30 s."""
BALANCER = {"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}}
LISTS = {
    "nodes": "/api/v1/nodes",
    "pods": f"/api/v1/namespaces/{NAMESPACE}/pods",
    "services": f"/api/v1/namespaces/{NAMESPACE}/services",
    "events": f"/api/v1/namespaces/{NAMESPACE}/events",
    "persistentvolumeclaims": f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims",
    "persistentvolumes": "/api/v1/persistentvolumes",
    "deployments": f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
    "replicasets": f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets",
    "statefulsets": f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets",
    "daemonsets": f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets",
    "jobs": f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs",
    "cronjobs": f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs",
    "horizontalpodautoscalers": (
        f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers"
    ),
    "poddisruptionbudgets": f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets",
    "endpointslices": f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
    "metrics_nodes": "/apis/metrics.k8s.io/v1beta1/nodes",
    "metrics_pods": f"/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods",
}
TEXTS = {
    "readyz_verbose": "/readyz?verbose",
    "livez_verbose": "/livez?verbose",
}
SUMMARY = f"/api/v1/nodes/{NODE}/proxy/stats/summary"
NEUTRAL = {
    "machineID": "00000000000000000000000000000000",
    "systemUUID": "00000000-0000-0000-0000-000000000000",
    "bootID": "00000000-0000-0000-0000-000000000000",
    "kernelVersion": "6.1.0",
}
DROPPED = {
    "managedFields",
    "images",
    "tolerations",
    "kubectl.kubernetes.io/last-applied-configuration",
}
ONE_OF_EACH = {
    "pods": ("metadata.ownerReferences.0.uid",),
    "metrics_pods": ("metadata.labels.app",),
    "events": ("involvedObject.kind", "reason"),
}
"""List → what its items are told apart by; of those that agree in it, one is enough."""
SUMMARIZED = {"running", "with-a-volume", "with-sidecar", "completed"}


def neutral(value: object) -> object:
    """Return a payload without what belongs to the machine or repeats what was asked for."""
    if isinstance(value, list):
        return [neutral(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: neutral(item) for key, item in value.items() if key not in DROPPED}
    return {key: NEUTRAL.get(key, item) for key, item in kept.items()}


def one_of_each(found: list[dict[str, object]], paths: Sequence[str]) -> list[dict[str, object]]:
    """Return the first of the items that have the same at `paths`, and all that have nothing."""
    kept: dict[object, dict[str, object]] = {}
    for item in found:
        key = tuple(str(at(item, path) or "") for path in paths)
        kept.setdefault(key if any(key) else id(item), item)
    return list(kept.values())


def words(pod: dict[str, object]) -> set[str]:
    """Return a pod's phase, its reason and those of its containers' states."""
    found = {str(at(pod, "status.phase")), str(at(pod, "status.reason"))}
    statuses = items(pod, "status.containerStatuses")
    for status in [*statuses, *items(pod, "status.initContainerStatuses")]:
        found |= {str(at(status, "state.waiting.reason"))}
        found |= {str(at(status, "lastState.terminated.reason"))}
    return found


EXPECTED = {
    "running": "Running",
    "crash-loop": "CrashLoopBackOff",
    "oom-killed": "OOMKilled",
    "evicted": "Evicted",
    "completed": "Succeeded",
    "failed": "Failed",
    "image-never-pulled": "ErrImageNeverPull",
    "image-pull-back-off": "ImagePullBackOff",
    "config-error": "CreateContainerConfigError",
    "cannot-start": "CrashLoopBackOff",
    "init-crash-loop": "CrashLoopBackOff",
}


def unsettled(
    read: Callable[[str], dict[str, object]], kept: dict[str, dict[str, object]]
) -> list[str]:
    """Return what has not come about yet; pods that have are kept as they were then.

    A container that crashes is a moment in each of its states.
    """
    for pod in items(read(LISTS["pods"])):
        name = str(at(pod, "metadata.name"))
        if EXPECTED.get(name) in words(pod):
            kept[name] = pod
    left = [name for name in EXPECTED if name not in kept]
    gone = next(n for n in items(read(LISTS["nodes"])) if at(n, "metadata.name") == GONE_NODE)
    if not any(c["status"] == "Unknown" for c in items(gone, "status.conditions")):
        left.append(GONE_NODE)
    for kind, name, reason in (
        ("horizontalpodautoscalers", "at-its-maximum", "TooManyReplicas"),
        ("horizontalpodautoscalers", "task-manager-hpa", "ValidMetricFound"),
        ("deployments", "stuck", "ProgressDeadlineExceeded"),
        ("jobs", "too-slow", "DeadlineExceeded"),
    ):
        [found] = [i for i in items(read(LISTS[kind])) if at(i, "metadata.name") == name]
        if reason not in {c["reason"] for c in items(found, "status.conditions")}:
            left.append(name)
    crons = items(read(LISTS["cronjobs"]))
    if not any(at(cron, "status.lastSuccessfulTime") for cron in crons):
        left.append("every-minute")
    return left


async def record() -> None:
    """Bring the states about, wait for them and write what the API server says."""
    with tempfile.TemporaryDirectory() as folder:
        async with RealCluster.start(Path(folder), Wanted(metrics=True, kwok=True)) as cluster:
            await cluster.image("probe-app:v1")
            everything = {"apiVersion": "v1", "kind": "List", "items": manifests()}
            cluster.kubectl("apply", "-f", "-", stdin=json.dumps(everything))
            merge = ("--subresource=status", "--type=merge", "-p")
            frontend = ("service", "task-manager-frontend", *merge)
            cluster.kubectl("patch", *frontend, json.dumps(BALANCER))
            cluster.kubectl("patch", "pod", "on-a-gone-node", *merge, json.dumps(RUNNING))
            cluster.kubectl("delete", "pod", "terminating", "--wait=false")

            def read(path: str) -> dict[str, object]:
                answer: dict[str, object] = json.loads(cluster.kubectl("get", "--raw", path))
                return answer

            kept: dict[str, dict[str, object]] = {}

            async def settled() -> bool:
                left = await asyncio.to_thread(unsettled, read, kept)
                print(f"waiting for {', '.join(left)}" if left else "all states are there")
                return not left

            await wait_until(settled, SETTLE_SECONDS, "every state")
            for name, path in LISTS.items():
                found = read(path)
                of_each = one_of_each(items(found), ONE_OF_EACH.get(name, ()))
                if name == "pods":
                    of_each = [kept.get(str(at(pod, "metadata.name")), pod) for pod in of_each]
                write(f"{name}.json", neutral({**found, "items": of_each}))
            for name, path in TEXTS.items():
                (FOLDER / f"{name}.txt").write_text(cluster.kubectl("get", "--raw", path))
            summary = read(SUMMARY)
            pods = [p for p in items(summary, "pods") if at(p, "podRef.name") in SUMMARIZED]
            write("kubelet_summary.json", neutral({**summary, "pods": pods}))


def write(name: str, payload: object) -> None:
    """Write one file."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / name).write_text(json.dumps(payload, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(record())
