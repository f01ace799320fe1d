"""What is used and what is left.

CPU and memory are the metrics API's to tell, disks and network the kubelets', capacity follows from
what pods have reserved.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TypeVar
from urllib.parse import quote

import msgspec
from pydantic import Field, field_validator

from exporter.contract import (
    Collected,
    CollectorSpec,
    PolledSource,
    Publisher,
    Sample,
    Source,
    StreamedSource,
)
from exporter.kinds import capacity, summary, usage
from exporter.ports import Clients, Resources, WatchedPod
from exporter.shared.config import Duration, Section
from exporter.shared.errors import PermanentError, TransientError
from exporter.watch.quantity import amount

METRICS_API = "/apis/metrics.k8s.io/v1beta1"
BREATH = 100
"""Pods decoded and published before others get their turn on the loop: a few milliseconds."""
EXPIRES_AFTER = 3
"""Passes without news after which what was last told is dropped, of a node as of a source."""
A_LITTLE = timedelta(milliseconds=100)
DecodedT = TypeVar("DecodedT")


class PodSizeSettings(Section):
    """The pod that is counted with when asked how many still fit."""

    cpu: str
    """Cores, as in a manifest: `250m`."""
    memory: str
    """Bytes, as in a manifest: `256Mi`."""

    @field_validator("cpu", "memory")
    @classmethod
    def _is_a_quantity(cls, value: str) -> str:
        if not (amount(value) or 0) > 0:
            raise ValueError(f"{value!r} is no amount; write it as in a manifest: 250m, 256Mi")
        return value


class Settings(Section):
    """Settings of the `usage` collector."""

    interval: Duration = timedelta(seconds=30)
    """How often the metrics API is asked; metrics-server itself measures every 15 seconds."""
    timeout: Duration = timedelta(seconds=10)
    """How long it may take to answer."""
    summaries: bool = True
    """Whether to read the kubelets' summaries, for disks and network. This needs `get` on
    `nodes/proxy`, a right that also leads to every other address of the kubelet: false does
    without."""
    summary_interval: Duration = timedelta(minutes=1)
    """How often each kubelet's summary is read."""
    node_deadline: Duration = timedelta(seconds=5)
    """How long one kubelet may take; one that is late loses nothing but itself."""
    concurrency: int = Field(default=10, ge=1, le=100)
    """Kubelets read at the same time."""
    pod_size: PodSizeSettings | None = None
    """By default the median of the pods there are."""


class _Usage:
    """What the metrics API says of nodes and pods."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self._settings = settings
        self._clients = clients

    async def nodes(self) -> Collected:
        """Tell what nodes use, and how that compares with what pods may have."""
        await _synced(self._clients, self._settings.timeout)
        known = {node.name: node for node in self._clients.nodes.everywhere()}
        each = [_decoded(raw, usage.NodeUsage) for raw in await self._items("nodes")]
        readings = (usage.node_readings(one, known.get(one.metadata.name)) for one in each)
        return Collected(
            [*chain.from_iterable(usage.node_samples(one) for one in each)],
            [*chain.from_iterable(readings)],
        )

    async def pods(self, publisher: Publisher) -> None:
        """Publish what pods and workloads use, again and again."""
        while True:
            began = self._clients.clock.monotonic()
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                await self._pods(publisher)
            took = timedelta(seconds=self._clients.clock.monotonic() - began)
            await self._clients.clock.sleep(self._settings.interval - took)

    async def _pods(self, publisher: Publisher) -> None:
        await _synced(self._clients, self._settings.timeout / 2)
        items = await self._items("pods")
        known = {(pod.namespace, pod.name): pod for pod in self._clients.pods.everywhere()}
        workloads = usage.WorkloadUsage()
        publisher.begin()
        for number, raw in enumerate(items):
            one = _decoded(raw, usage.PodUsage)
            pod = known.get((one.metadata.namespace, one.metadata.name))
            if pod is not None:
                used = usage.of_pod(one)
                publisher.put(pod.uid, usage.pod_samples(pod, used))
                workloads.add(pod, used)
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
        for key, samples, readings in workloads.published():
            publisher.put(key, samples, readings)
        publisher.sweep()
        publisher.alive()

    async def _items(self, resource: str) -> Sequence[msgspec.Raw]:
        body = await self._clients.kube.list(f"{METRICS_API}/{resource}", {})
        return _decoded(body, usage.UsageList).items or ()


class _Summaries:
    """What the kubelets say of disks and network. The counts outlive every start of the stream."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self._settings = settings
        self._clients = clients
        self._failures: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        """Passes since a node's kubelet last answered."""
        self._limit = asyncio.Semaphore(settings.concurrency)

    async def run(self, publisher: Publisher) -> None:
        """Publish every node's summary, again and again.

        Raises TransientError when no kubelet at all answers, which is the source's own failure.
        """
        while True:
            began = self._clients.clock.monotonic()
            await _synced(self._clients, self._settings.timeout)
            await self._all(publisher)
            took = timedelta(seconds=self._clients.clock.monotonic() - began)
            await self._clients.clock.sleep(self._settings.summary_interval - took)

    async def _all(self, publisher: Publisher) -> None:
        names = {node.name for node in self._clients.nodes.everywhere()}
        pods = {pod.uid: pod for pod in self._clients.pods.everywhere()}
        for gone in self._missed.keys() - names:
            publisher.delete(_health_key(gone))
            publisher.delete(_data_key(gone))
            del self._failures[gone], self._missed[gone]
        errors = await asyncio.gather(*(self._one(name, pods, publisher) for name in names))
        if names and all(errors):
            raise TransientError(f"no kubelet answers; one of {len(names)}: {errors[0]}")
        publisher.alive()

    async def _one(self, name: str, pods: Mapping[str, WatchedPod], publisher: Publisher) -> str:
        """Publish one node's summary; returns what went wrong, or nothing."""
        try:
            found = await self._read(name)
        except (TransientError, PermanentError, TimeoutError) as error:
            self._failures[name] += 1
            self._missed[name] += 1
            if self._missed[name] >= EXPIRES_AFTER:
                publisher.delete(_data_key(name))
            publisher.put(_health_key(name), self._health(name, up=False))
            return str(error) or f"{name} did not answer in time"
        self._missed[name] = 0
        samples = summary.samples(name, found, pods)
        publisher.put(_data_key(name), samples, summary.readings(name, found))
        publisher.put(_health_key(name), self._health(name, up=True))
        return ""

    async def _read(self, name: str) -> summary.Summary:
        path = f"/api/v1/nodes/{quote(name)}/proxy/stats/summary"
        async with self._limit, asyncio.timeout(self._settings.node_deadline.total_seconds()):
            body = await self._clients.kube.list(path, {})
        return _decoded(body, summary.Summary)

    def _health(self, name: str, *, up: bool) -> Iterator[Sample]:
        return summary.health_samples(name, self._failures[name], up=up)


def _data_key(node: str) -> str:
    return f"data/{node}"


def _health_key(node: str) -> str:
    return f"health/{node}"


async def _capacity(settings: Settings, clients: Clients) -> Collected:
    """Tell what is reserved, and what still fits."""
    await _synced(clients, settings.timeout)
    nodes, pods = clients.nodes.everywhere(), clients.pods.everywhere()
    by_node = capacity.held(pods)
    size = capacity.pod_size(pods, _configured(settings.pod_size))
    return Collected(
        [
            *capacity.node_samples(nodes, by_node),
            *(capacity.size_samples(size) if size is not None else ()),
        ],
        [*capacity.readings(nodes, by_node, size)],
    )


def _configured(size: PodSizeSettings | None) -> Resources | None:
    return None if size is None else Resources(amount(size.cpu), amount(size.memory))


async def _synced(clients: Clients, within: timedelta) -> None:
    """Wait until nodes and pods are listed. Raises TransientError when they are not in time."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            while not (clients.nodes.synced and clients.pods.synced):
                await clients.clock.sleep(A_LITTLE)
    except TimeoutError as error:
        raise TransientError("nodes and pods are not listed yet") from error


def _decoded(body: bytes | msgspec.Raw, kind: type[DecodedT]) -> DecodedT:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise PermanentError(f"that is no {kind.__name__}: {error}") from error


def _sources(settings: Settings, clients: Clients) -> Sequence[Source]:
    measured = _Usage(settings, clients)
    kubelets = _Summaries(settings, clients)
    interval, timeout = settings.interval, settings.timeout
    stale = EXPIRES_AFTER * max(interval, timeout)
    stale_summaries = EXPIRES_AFTER * max(settings.summary_interval, settings.node_deadline)
    found: list[Source] = [
        PolledSource("nodes", interval, 2 * timeout, measured.nodes),
        StreamedSource("pods", stale, measured.pods),
        PolledSource("capacity", interval, 2 * timeout, partial(_capacity, settings, clients)),
    ]
    if settings.summaries:
        found.append(StreamedSource("summaries", stale_summaries, kubelets.run))
    return found


SPEC = CollectorSpec(
    name="usage",
    help="CPU, memory, disk and network that are used, and the capacity that is left.",
    settings=Settings,
    metrics=(
        *usage.NODE_METRICS,
        *usage.POD_METRICS,
        *summary.METRICS,
        *capacity.METRICS,
    ),
    sources=_sources,
    kpis=(*usage.KPIS, *summary.KPIS, *capacity.KPIS),
    reads_kubernetes=True,
    permissions=(
        "core/nodes:list,watch",
        "core/nodes/proxy:get",
        "core/pods:list,watch",
        "apps/replicasets:list,watch",
        "metrics.k8s.io/nodes:list",
        "metrics.k8s.io/pods:list",
    ),
)
