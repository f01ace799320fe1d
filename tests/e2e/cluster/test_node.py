"""What happens to pods on a node: killed for memory, without an image, measured, lost."""

import json

import pytest

from tests.bed.cluster.client import Client, at, items
from tests.bed.cluster.real import RealCluster, recorded_states
from tests.bed.cluster.real.keys import NODE
from tests.bed.cluster.real.parts import KWOK_MARK
from tests.bed.cluster.rest import path_of
from tests.bed.process import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")


def in_namespace(namespace: str, name: str) -> dict[str, object]:
    """Return the pod whose recorded state has this name."""
    [pod] = [m for m in recorded_states.pods() if at(m, "metadata.name") == name]
    return {**pod, "metadata": {"name": name, "namespace": namespace}}


async def becomes(api: Client, namespace: str, name: str, word: str, path: str) -> None:
    """Wait until the pod has `word` at `path`, at which containers are looked at one by one."""

    async def reached() -> bool:
        pod = (await api.get(f"{path_of('Pod', namespace)}/{name}")).body
        statuses = items(pod, "status.containerStatuses")
        return word in {str(at(holder, path)) for holder in (pod, *statuses)}

    await wait_until(reached, 100, f"{name} has {word} at {path}")


@pytest.mark.parametrize(
    ("name", "word", "path"),
    [
        ("oom-killed", "OOMKilled", "lastState.terminated.reason"),
        ("image-pull-back-off", "ErrImagePull", "state.waiting.reason"),
        ("image-pull-back-off", "ImagePullBackOff", "state.waiting.reason"),
        ("image-never-pulled", "ErrImageNeverPull", "state.waiting.reason"),
        ("config-error", "CreateContainerConfigError", "state.waiting.reason"),
        ("cannot-start", "StartError", "lastState.terminated.reason"),
        ("evicted", "Evicted", "status.reason"),
        ("unschedulable", "Pending", "status.phase"),
    ],
)
async def test_a_pod_tells_why_it_does_not_run(
    cluster: RealCluster, api: Client, namespace: str, name: str, word: str, path: str
) -> None:
    await cluster.apply(in_namespace(namespace, name))
    await becomes(api, namespace, name, word, path)


async def test_in_back_off_only_the_log_of_the_last_end_is_left(
    cluster: RealCluster, api: Client, namespace: str
) -> None:
    await cluster.apply(in_namespace(namespace, "crash-loop"))
    state = "state.waiting.reason"
    await becomes(api, namespace, "crash-loop", "CrashLoopBackOff", state)
    path = f"{path_of('Pod', namespace)}/crash-loop/log"
    assert "cannot go on" in (await api.get(path)).text
    previous = (await api.get(path, previous="true")).text
    assert "unable to retrieve container logs" in previous or "cannot go on" in previous


async def test_the_kubelet_sums_up_node_pods_and_volumes(
    cluster: RealCluster, api: Client, namespace: str
) -> None:
    await cluster.apply(in_namespace(namespace, "with-scratch"))

    async def measured() -> dict[str, object] | None:
        summary = (await api.get(f"/api/v1/nodes/{NODE}/proxy/stats/summary")).body
        mine = [p for p in items(summary, "pods") if at(p, "podRef.namespace") == namespace]
        known = mine and items(mine[0], "volume") and at(mine[0], "memory.workingSetBytes")
        return {"node": summary["node"], "pod": mine[0]} if known else None

    found = await wait_until(measured, 60, "the pod is measured")
    assert int(str(at(found, "node.fs.capacityBytes"))) > int(
        str(at(found, "node.fs.availableBytes"))
    )
    [volume] = items(found, "pod.volume")
    assert volume["name"] == "scratch"
    assert int(str(volume["usedBytes"])) >= 0


async def test_metrics_are_those_of_running_pods(
    cluster: RealCluster, api: Client, namespace: str
) -> None:
    await cluster.apply(in_namespace(namespace, "running"))
    path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"

    async def measured() -> list[dict[str, object]]:
        return items((await api.get(path)).body)

    [pod] = await wait_until(measured, 60, "the pod's usage is known")
    assert at(pod, "metadata.name") == "running"
    assert str(at(pod, "containers.0.usage.memory")).endswith("Ki")
    nodes = items((await api.get("/apis/metrics.k8s.io/v1beta1/nodes")).body)
    assert NODE in {at(node, "metadata.name") for node in nodes}


async def test_a_node_that_falls_silent_is_not_ready_and_so_are_its_pods(
    cluster: RealCluster, api: Client, namespace: str
) -> None:
    """Nobody plays the node: of its kubelet there is only what it had said before."""
    name = f"silent-{namespace}"
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    await api.send("POST", path_of("Node"), {**node, "status": {"conditions": [ready]}})
    pod = in_namespace(namespace, "running")
    spec = {**pod["spec"], "nodeName": name, "tolerations": [{"operator": "Exists"}]}  # type: ignore[dict-item]  # a manifest's spec
    await api.send("POST", path_of("Pod", namespace), {**pod, "spec": spec})
    status = json.dumps(recorded_states.RUNNING)
    merge = ("--subresource=status", "--type=merge", "-p", status, "-n", namespace)
    cluster.kubectl("patch", "pod", "running", *merge)

    async def lost() -> bool:
        found = (await api.get(f"{path_of('Node')}/{name}")).body
        held = (await api.get(f"{path_of('Pod', namespace)}/running")).body
        tainted = {taint["key"] for taint in items(found, "spec.taints")}
        states = state_of(found, "Ready"), state_of(held, "Ready")
        return states == ("Unknown", "False") and "node.kubernetes.io/unreachable" in tainted

    await wait_until(lost, 100, "the node's silence is noticed")
    await api.send("DELETE", f"{path_of('Node')}/{name}")


@pytest.mark.usefixtures("cluster")
async def test_kwok_keeps_a_pretended_node_and_its_pods_ready(api: Client, namespace: str) -> None:
    name, (key, _, value) = f"fake-{namespace}", KWOK_MARK.partition("=")
    metadata = {"name": name, "annotations": {key: value}}
    size = {"cpu": "4", "memory": "16Gi", "pods": "110"}
    status = {"capacity": size, "allocatable": size}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}
    await api.send("POST", path_of("Node"), node)
    pod = in_namespace(namespace, "running")
    spec = {**pod["spec"], "nodeName": name}  # type: ignore[dict-item]  # a manifest's spec
    await api.send("POST", path_of("Pod", namespace), {**pod, "spec": spec})

    async def ready() -> bool:
        held = (await api.get(f"{path_of('Pod', namespace)}/running")).body
        found = (await api.get(f"{path_of('Node')}/{name}")).body
        return state_of(held, "Ready") == state_of(found, "Ready") == "True"

    await wait_until(ready, 30, "the pretended pod is ready")
    await api.send("DELETE", f"{path_of('Node')}/{name}")


def state_of(obj: object, condition: str) -> str:
    found = items(obj, "status.conditions")
    return next((str(c["status"]) for c in found if c["type"] == condition), "")
