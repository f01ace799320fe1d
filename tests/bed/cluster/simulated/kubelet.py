"""The node: every pod is a group of local processes with an address of its own."""

import asyncio
import logging
from contextlib import suppress

from tests.bed.cluster.simulated.addresses import Addresses
from tests.bed.cluster.simulated.containers import KUBELET, Container, Node
from tests.bed.cluster.simulated.kinds import NODE, POD, VERSION
from tests.bed.cluster.simulated.objects import (
    Obj,
    condition,
    ensure,
    is_deleting,
    name_of,
    namespace_of,
    number,
    parts,
    text,
    uid_of,
)
from tests.bed.cluster.simulated.status import ApiError
from tests.bed.cluster.simulated.store import Change

NODE_NAME = "sim-0"


def node_object(now: str) -> Obj:
    """Return the one node, ready for ever."""
    return {
        "metadata": {"name": NODE_NAME, "labels": {"kubernetes.io/hostname": NODE_NAME}},
        "spec": {},
        "status": {
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "kubelet is posting ready status",
                    "lastTransitionTime": now,
                    "lastHeartbeatTime": now,
                }
            ],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "nodeInfo": {"kubeletVersion": VERSION, "operatingSystem": "linux"},
        },
    }


class Kubelet:
    """Runs every pod of the store; the scheduler too, as there is one node."""

    def __init__(self, node: Node, addresses: Addresses) -> None:
        self.images = node.images
        self._node = node
        self._addresses = addresses
        self._pods: dict[str, PodRun] = {}

    def start(self) -> None:
        """Make the node known and follow the pods from now on."""
        self._node.store.create(NODE, node_object(self._node.store.now()))
        self._node.store.listeners.add(self._follow)

    def log(self, pod: Obj, container: str, *, previous: bool) -> str:
        """Return a container's whole log.

        Raises ApiError (400) when there is no such container, it has not started yet or has no
        previous incarnation.
        """
        run = self._pods.get(uid_of(pod))
        containers = run.containers if run is not None else []
        container = container or next((c.name for c in containers), "")
        found = next((c for c in containers if c.name == container), None)
        if found is None:
            raise ApiError(400, f"container {container} is not valid for pod {name_of(pod)}")
        shown = f'container "{container}" in pod "{name_of(pod)}"'
        if previous and not found.last_state:
            raise ApiError(400, f"previous terminated {shown} not found")
        if not found.started:
            why = text(found.state, "waiting", "reason")
            raise ApiError(400, f"{shown} is waiting to start: {why}")
        return found.log(previous=previous)

    async def stop(self) -> None:
        """Kill every process of the node."""
        self._node.store.listeners.discard(self._follow)
        await asyncio.gather(*(run.stop(0) for run in self._pods.values()))

    def _follow(self, change: Change) -> None:
        if change.kind != POD:
            return
        uid = uid_of(change.obj)
        if change.type == "ADDED":
            self._pods[uid] = PodRun(self._node, change.obj, self._addresses.next())
        elif uid in self._pods:
            if change.type == "DELETED":
                self._pods.pop(uid).end(grace=0)
            elif is_deleting(change.obj):
                grace = number(change.obj, "metadata", "deletionGracePeriodSeconds")
                self._pods[uid].end(grace=grace)


class PodRun:
    """One pod from its scheduling to its end."""

    def __init__(self, node: Node, pod: Obj, address: str) -> None:
        self._node = node
        self._pod = pod
        self._address = address
        self._ending: asyncio.Task[None] | None = None
        self._begun = node.store.now()
        self.containers = [
            Container(node, pod, spec, address) for spec in parts(pod, "spec", "containers")
        ]
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(_complain)

    async def _run(self) -> None:
        self._node.store.change(POD, *self._key, self._bind)
        placed = f"Successfully assigned {'/'.join(self._key)} to {NODE_NAME}"
        self._node.recorder.normal("default-scheduler", self._pod, "Scheduled", placed)
        await asyncio.gather(*(container.run(self._publish) for container in self.containers))

    @property
    def _key(self) -> tuple[str, str]:
        return namespace_of(self._pod), name_of(self._pod)

    def end(self, grace: float) -> None:
        """Begin to stop it; a second call with a shorter grace is not needed by anyone."""
        if self._ending is None or grace == 0:
            self._ending = asyncio.create_task(self._end(grace))
            self._ending.add_done_callback(_complain)

    async def stop(self, grace: float) -> None:
        """Stop all containers and do not restart them."""
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        await asyncio.gather(*(container.stop(grace) for container in self.containers))

    async def _end(self, grace: float) -> None:
        for container in self.containers:
            stopping = f"Stopping container {container.name}"
            self._node.recorder.normal(KUBELET, self._pod, "Killing", stopping)
        await self.stop(grace)
        self._publish()  # it has failed or succeeded, and only then it goes
        found = self._node.store.find(POD, *self._key)
        if uid_of(found) == uid_of(self._pod):
            self._node.store.remove(POD, *self._key)

    def _bind(self, pod: Obj) -> None:
        ensure(pod, "spec")["nodeName"] = NODE_NAME
        self._write_status(pod)

    def _publish(self) -> None:
        if uid_of(self._node.store.find(POD, *self._key)) == uid_of(self._pod):
            self._node.store.change(POD, *self._key, self._write_status)

    def _write_status(self, pod: Obj) -> None:
        waiting = [c.name for c in self.containers if not c.ready]
        why: Obj = {}
        if waiting:
            message = f"containers with unready status: [{' '.join(waiting)}]"
            why = {"reason": "ContainersNotReady", "message": message}
        states: list[Obj] = [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Initialized", "status": "True"},
            {"type": "ContainersReady", "status": "False" if waiting else "True", **why},
            {"type": "Ready", "status": "False" if waiting else "True", **why},
        ]
        for state in states:
            before = condition(pod, str(state["type"]))
            same = before.get("status") == state["status"]
            now = self._node.store.now()
            state["lastTransitionTime"] = before["lastTransitionTime"] if same else now
        status = ensure(pod, "status")
        status |= {
            "phase": self._phase(),
            "conditions": states,
            "podIP": self._address,
            "podIPs": [{"ip": self._address}],
            "hostIP": "127.0.0.1",
            "startTime": self._begun,
            "qosClass": "BestEffort",
            "containerStatuses": [container.status() for container in self.containers],
        }

    def _phase(self) -> str:
        if not all(container.started for container in self.containers):
            return "Pending"
        ended = [c.state["terminated"] for c in self.containers if c.finished]
        if len(ended) < len(self.containers):
            return "Running"
        return "Failed" if any(number(end, "exitCode") for end in ended) else "Succeeded"


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logging.getLogger(__name__).error("a pod's task failed", exc_info=error)
