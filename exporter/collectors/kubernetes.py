"""What the API server knows, from watches of its objects; its own health, and DNS, by asking."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import TypeVar

from pydantic import Field

from exporter.contract import (
    Collected,
    CollectorSpec,
    PolledSource,
    Publisher,
    Sample,
    Source,
    StreamedSource,
)
from exporter.kinds import (
    apiserver,
    autoscaling,
    claim,
    disruption,
    dns,
    event,
    job,
    node,
    pod,
    service,
    workload,
)
from exporter.kinds.each import Each
from exporter.ports import Answer, Clients
from exporter.shared.config import Duration, Section
from exporter.shared.errors import TransientError
from exporter.watch.objects import DaemonSet, Deployment, StatefulSet, Watched
from exporter.watch.reflector import Handler, Reflector

WATCHED = TypeVar("WATCHED", bound=Watched)


class Settings(Section):
    """Settings of the `kubernetes` collector."""

    stale_after: Duration = timedelta(minutes=5)
    """How long series stay without a sign of life from the API server: three of its watches that
    fell silent, each given up after 90 seconds, and half a minute to list again."""
    interval: Duration = timedelta(seconds=30)
    """How often the API server is asked whether it is ready, and names are looked up."""
    timeout: Duration = timedelta(seconds=5)
    """How long the API server, or the resolver, may take to answer."""
    dns_names: tuple[str, ...] = Field(default=(), max_length=20)
    """Names to look up as every pod would; `kubernetes.default.svc` tells whether a cluster's DNS
    works."""


class _Watches:
    """Runs the watches. The counts of events outlive every start of theirs."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._counts = event.EventCounts(clients.clock)
        self._recent = event.RecentEvents()

    async def nodes(self, publisher: Publisher) -> None:
        """Publish nodes."""
        await self._clients.nodes.follow(Each(publisher, lambda obj: obj.uid, node.samples))

    async def pods(self, publisher: Publisher) -> None:
        """Publish pods."""
        await self._clients.pods.follow(pod.PodPublisher(publisher, self._clients.clock))

    async def deployments(self, publisher: Publisher) -> None:
        """Publish Deployments with the templates that their ReplicaSets tell of."""
        handler = workload.DeploymentPublisher(publisher)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._clients.pods.follow_replica_sets(handler.replica_sets))
            both.create_task(self._watch("/apis/apps/v1/deployments", Deployment, handler))

    async def endpoints(self, publisher: Publisher) -> None:
        """Publish the endpoints of every Service."""
        handler = service.EndpointPublisher(publisher)
        path = "/apis/discovery.k8s.io/v1/endpointslices"
        await self._watch(path, service.EndpointSlice, handler)

    async def events(self, publisher: Publisher) -> None:
        """Publish counts of events, and show the last ones."""
        handler = event.EventPublisher(publisher, self._counts, self._recent)
        await self._watch("/api/v1/events", event.Event, handler)

    def each(
        self, path: str, kind: type[WATCHED], samples: Callable[[WATCHED], Iterable[Sample]]
    ) -> Callable[[Publisher], Awaitable[None]]:
        """Return what publishes each object of a kind by itself."""

        async def run(publisher: Publisher) -> None:
            await self._watch(path, kind, Each(publisher, lambda obj: obj.metadata.uid, samples))

        return run

    async def _watch(self, path: str, kind: type[WATCHED], handler: Handler[WATCHED]) -> None:
        await Reflector(self._clients.kube, self._clients.clock, path, kind, handler).run()


async def _api_server(clients: Clients, settings: Settings) -> Collected:
    """Ask the API server how it is; one that is silent is not ready."""
    began = clients.clock.monotonic()
    ready = await _asked(clients, apiserver.READY_PATH, settings.timeout)
    if ready is None:
        return Collected(tuple(apiserver.silent_samples()))
    samples = [*apiserver.ready_samples(ready, clients.clock.monotonic() - began)]
    version = await _asked(clients, apiserver.VERSION_PATH, settings.timeout)
    if version is not None:
        samples += apiserver.version_samples(version)
    return Collected(samples)


async def _asked(clients: Clients, path: str, deadline: timedelta) -> Answer | None:
    try:
        return await clients.kube.ask(path, deadline=deadline)
    except TransientError:
        return None


async def _names(clients: Clients, settings: Settings) -> Collected:
    """Look all names up at once."""
    lookups = [_name(clients, name, settings.timeout) for name in settings.dns_names]
    return Collected([*chain.from_iterable(await asyncio.gather(*lookups))])


async def _name(clients: Clients, name: str, deadline: timedelta) -> Iterable[Sample]:
    began = clients.clock.monotonic()
    try:
        success = bool(await clients.resolver.resolve(name, deadline=deadline))
    except TransientError:
        success = False
    return dns.samples(name, clients.clock.monotonic() - began, success=success)


def _sources(settings: Settings, clients: Clients) -> Sequence[Source]:
    watches = _Watches(clients)
    each = watches.each
    core, apps, batch = "/api/v1", "/apis/apps/v1", "/apis/batch/v1"
    streams: Mapping[str, Callable[[Publisher], Awaitable[None]]] = {
        "nodes": watches.nodes,
        "pods": watches.pods,
        "deployments": watches.deployments,
        "statefulsets": each(f"{apps}/statefulsets", StatefulSet, workload.stateful_set_samples),
        "daemonsets": each(f"{apps}/daemonsets", DaemonSet, workload.daemon_set_samples),
        "jobs": each(f"{batch}/jobs", job.Job, job.job_samples),
        "cronjobs": each(f"{batch}/cronjobs", job.CronJob, job.cron_job_samples),
        "autoscalers": each(
            "/apis/autoscaling/v2/horizontalpodautoscalers",
            autoscaling.Autoscaler,
            autoscaling.samples,
        ),
        "disruptionbudgets": each(
            "/apis/policy/v1/poddisruptionbudgets", disruption.Budget, disruption.samples
        ),
        "claims": each(f"{core}/persistentvolumeclaims", claim.Claim, claim.samples),
        "services": each(f"{core}/services", service.Service, service.load_balancer_samples),
        "endpoints": watches.endpoints,
        "events": watches.events,
    }
    found: list[Source] = [
        StreamedSource(name, settings.stale_after, run) for name, run in streams.items()
    ]
    within = 2 * settings.timeout + timedelta(seconds=1)  # two questions
    asks = {"apiserver": _api_server} | ({"dns": _names} if settings.dns_names else {})
    return found + [
        PolledSource(name, settings.interval, within, partial(ask, clients, settings))
        for name, ask in asks.items()
    ]


SPEC = CollectorSpec(
    name="kubernetes",
    help="Nodes, pods, workloads, autoscalers, services and events, the API server and DNS.",
    settings=Settings,
    metrics=(
        *node.METRICS,
        *pod.METRICS,
        *workload.METRICS,
        *job.JOB_METRICS,
        *job.CRON_JOB_METRICS,
        *autoscaling.METRICS,
        *disruption.METRICS,
        *claim.METRICS,
        *service.LOAD_BALANCER_METRICS,
        *service.ENDPOINT_METRICS,
        *event.METRICS,
        *apiserver.METRICS,
        *dns.METRICS,
    ),
    sources=_sources,
    kpis=pod.KPIS,
    reads_kubernetes=True,
    permissions=(
        "core/nodes:list,watch",
        "core/pods:list,watch",
        "core/services:list,watch",
        "core/persistentvolumeclaims:list,watch",
        "core/events:list,watch",
        "apps/deployments:list,watch",
        "apps/replicasets:list,watch",
        "apps/statefulsets:list,watch",
        "apps/daemonsets:list,watch",
        "batch/jobs:list,watch",
        "batch/cronjobs:list,watch",
        "autoscaling/horizontalpodautoscalers:list,watch",
        "policy/poddisruptionbudgets:list,watch",
        "discovery.k8s.io/endpointslices:list,watch",
        "/readyz:get",
        "/version:get",
    ),
)
