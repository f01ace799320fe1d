"""The one node stream of the process."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from exporter.ports import Follower, KubeApi, WatchedNode
from exporter.shared.clock import Clock
from exporter.watch.objects import Node, holds
from exporter.watch.quantity import amounts
from exporter.watch.reflector import SILENCE, Reflector
from exporter.watch.shared import Shared
from exporter.watch.starting import Starting

KEEPING_AWAY = frozenset({"NoSchedule", "NoExecute"})
"""Effects of taints that keep pods off a node; `PreferNoSchedule` only advises."""


class NodeRecord(msgspec.Struct, gc=False):
    """ports.WatchedNode."""

    uid: str
    name: str
    ready: bool
    unschedulable: bool
    tainted: bool
    conditions: Mapping[str, str]
    version: str
    runtime: str
    kernel: str
    os_image: str
    created: datetime | None
    capacity: Mapping[str, float]
    allocatable: Mapping[str, float]


def node_record(node: Node) -> NodeRecord:
    """Keep of a node what is published and counted."""
    meta, spec, status = node.metadata, node.spec, node.status
    info = status.node_info
    return NodeRecord(
        uid=meta.uid,
        name=meta.name,
        ready=holds(status.conditions, "Ready"),
        unschedulable=spec.unschedulable or False,
        tainted=any(taint.effect in KEEPING_AWAY for taint in spec.taints or ()),
        conditions={one.type: one.status for one in status.conditions or ()},
        version=info.kubelet_version,
        runtime=info.container_runtime_version,
        kernel=info.kernel_version,
        os_image=info.os_image,
        created=meta.creation_timestamp,
        capacity=amounts(status.capacity),
        allocatable=amounts(status.allocatable),
    )


class _Nodes(Shared[NodeRecord]):
    def on_object(self, obj: Node) -> None:
        self.put(node_record(obj))


class NodeStream:
    """ports.Nodes over one watch, which starts when first asked. Its owner closes it."""

    def __init__(self, kube: KubeApi, clock: Clock, *, silence: timedelta = SILENCE) -> None:
        self._nodes = _Nodes()
        reflector = Reflector(kube, clock, "/api/v1/nodes", Node, self._nodes, silence=silence)
        self._reflector = reflector
        self._work = Starting(self._run, "node stream")

    @property
    def synced(self) -> bool:
        """True once the first listing is complete."""
        self._work.started()
        return self._nodes.synced

    def everywhere(self) -> Sequence[WatchedNode]:
        """Return every node, as last seen."""
        self._work.started()
        return list(self._nodes.objects.values())

    async def follow(self, follower: Follower[WatchedNode]) -> None:
        """Tell `follower` of every node until cancelled. Raises what ended the stream."""
        task = self._work.started()
        await self._nodes.follow(follower)
        await task

    async def close(self) -> None:
        """Stop watching; what was seen stays known."""
        await self._work.close()

    async def _run(self) -> None:
        try:
            await self._reflector.run()
        finally:
            self._nodes.end()
