"""The life of the pod stream, on an API that lives in memory."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

import pytest
from typing_extensions import override

from exporter.ports import Response, WatchedPod, WatchedReplicaSet
from exporter.shared.clock import SystemClock
from exporter.watch.pods import PodStream

PODS = "/api/v1/pods"
REPLICA_SETS = "/apis/apps/v1/replicasets"


class Body:
    """A watch's answer: what is there now, then whatever is fed."""

    status = 200

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def content(self) -> "Body":
        return self

    def feed(self, kind: str, obj: object) -> None:
        self._chunks.put_nowait(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

    def end_listing(self) -> None:
        annotations = {"k8s.io/initial-events-end": "true"}
        meta = {"resourceVersion": "10", "annotations": annotations}
        self.feed("BOOKMARK", {"metadata": meta})

    async def readany(self) -> bytes:
        return await self._chunks.get()

    async def read(self, n: int = -1) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Memory:
    """contract.KubeApi with one body a path."""

    def __init__(self) -> None:
        self.bodies: dict[str, Body] = {PODS: Body(), REPLICA_SETS: Body()}
        self.opened: list[str] = []

    async def list(self, path: str, query: Mapping[str, str]) -> bytes:
        raise NotImplementedError

    async def watch(self, path: str, query: Mapping[str, str]) -> Response:
        assert "sendInitialEvents" in query
        self.opened.append(path)
        return self.bodies[path]


class Names:
    """A follower that keeps names, and refuses one that it is told to refuse."""

    def __init__(self, refuses: str = "") -> None:
        self.known: dict[str, str] = {}
        self.complete = False
        self._refuses = refuses

    def on_object(self, obj: WatchedPod) -> None:
        if obj.name == self._refuses:
            raise ValueError(obj.name)
        self.known[obj.uid] = f"{obj.workload_type}/{obj.workload}"

    def on_delete(self, uid: str) -> None:
        self.known.pop(uid, None)

    def begin(self) -> None:
        self.known.clear()

    def sweep(self) -> None:
        self.complete = True

    def alive(self) -> None:
        pass

    def failed(self, reason: str) -> None:
        raise AssertionError(reason)


class Revisions(Names):
    """The same of ReplicaSets."""

    @override
    def on_object(self, obj: WatchedReplicaSet) -> None:  # type: ignore[override]  # other objects
        self.known[obj.uid] = obj.revision


def pod(name: str, app: str = "web") -> dict[str, object]:
    owner = {"kind": "ReplicaSet", "name": f"{app}-abc", "uid": f"rs-{app}", "controller": True}
    meta = {"name": name, "namespace": "default", "uid": name, "labels": {"app": app}}
    return {"metadata": meta | {"ownerReferences": [owner], "resourceVersion": "1"}}


def replica_set(app: str) -> dict[str, object]:
    owner = {"kind": "Deployment", "name": app, "uid": f"d-{app}", "controller": True}
    revision = {"deployment.kubernetes.io/revision": "3"}
    return {"metadata": {"uid": f"rs-{app}", "ownerReferences": [owner], "annotations": revision}}


async def a_while() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def memory() -> Memory:
    memory = Memory()
    memory.bodies[REPLICA_SETS].feed("ADDED", replica_set("web"))
    memory.bodies[REPLICA_SETS].end_listing()
    return memory


async def test_nothing_is_watched_until_someone_asks(memory: Memory) -> None:
    stream = PodStream(memory, SystemClock())
    await a_while()
    assert memory.opened == []
    assert list(stream.matching("default", {})) == []
    await a_while()
    assert memory.opened == [REPLICA_SETS, PODS]
    await stream.close()


async def test_pods_match_by_namespace_and_every_label(memory: Memory) -> None:
    stream = PodStream(memory, SystemClock())
    stream.matching("default", {})
    body = memory.bodies[PODS]
    body.feed("ADDED", pod("web-1"))
    body.feed("ADDED", pod("api-1", "api"))
    await a_while()
    synced = [stream.synced]
    body.end_listing()
    await a_while()
    synced.append(stream.synced)
    assert synced == [False, True]
    assert [one.name for one in stream.matching("default", {"app": "web"})] == ["web-1"]
    assert len(stream.matching("default", {})) == 2
    assert list(stream.matching("default", {"app": "web", "tier": "x"})) == []
    assert list(stream.matching("other", {"app": "web"})) == []
    assert len(stream.matching("", {})) == len(stream.matching("default", {}))
    await stream.close()


async def test_pods_and_replica_sets_are_watched_once_for_all_followers(memory: Memory) -> None:
    stream = PodStream(memory, SystemClock())
    first, second, revisions = Names(), Names(), Revisions()
    following = [
        asyncio.create_task(stream.follow(first)),
        asyncio.create_task(stream.follow(second)),
        asyncio.create_task(stream.follow_replica_sets(revisions)),
    ]
    memory.bodies[PODS].feed("ADDED", pod("web-1"))
    memory.bodies[PODS].end_listing()
    await a_while()
    assert first.known == second.known == {"web-1": "deployment/web"}
    assert first.complete
    assert revisions.known == {"rs-web": "3"}
    assert memory.opened == [REPLICA_SETS, PODS]
    for task in following:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await stream.close()


async def test_a_follower_that_fails_or_leaves_does_not_end_the_stream(memory: Memory) -> None:
    stream = PodStream(memory, SystemClock())
    failing = asyncio.create_task(stream.follow(Names(refuses="web-1")))
    leaving = asyncio.create_task(stream.follow(Names()))
    await a_while()
    leaving.cancel()
    memory.bodies[PODS].feed("ADDED", pod("web-1"))
    memory.bodies[PODS].feed("ADDED", pod("web-2"))
    await a_while()
    with pytest.raises(ValueError, match="web-1"):
        await failing
    assert len(stream.matching("default", {})) == 2
    assert memory.opened == [REPLICA_SETS, PODS]
    await stream.close()


async def test_a_stream_that_a_bug_ended_says_so_and_starts_again(memory: Memory) -> None:
    stream = PodStream(memory, SystemClock())
    follower = asyncio.create_task(stream.follow(Names()))
    await a_while()
    broken, memory.bodies[PODS] = memory.bodies[PODS], Body()
    memory.bodies[REPLICA_SETS] = Body()
    broken._chunks.put_nowait("no bytes")  # type: ignore[arg-type]  # the bug
    with pytest.raises(ExceptionGroup):
        await follower
    stream.matching("default", {})
    await a_while()
    assert memory.opened == [REPLICA_SETS, PODS] * 2
    await stream.close()
