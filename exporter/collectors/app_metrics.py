"""Scrapes the application's pods and publishes what they counted as series of the workload."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client.utils import floatToGoString

from exporter.contract import Collected, CollectorSpec, Metric, PolledSource, Reading, Sample
from exporter.merge import Increment, Merge, Window, apdex, classifier, quantile
from exporter.pages import Page, PageError, PageReader
from exporter.ports import Application, Clients, PodView
from exporter.shared.config import Duration, Section
from exporter.shared.errors import PermanentError, RunbookdError, TransientError

WORKLOAD = ("namespace", "workload", "workload_type")

REQUESTS = Metric(
    "kpi_http_requests_total",
    "Requests the workload's pods have answered since the exporter started.",
    "counter",
    (*WORKLOAD, "route"),
)
ERRORS = Metric(
    "kpi_http_request_errors_total",
    "Requests of kpi_http_requests_total whose status is an error of the application.",
    "counter",
    (*WORKLOAD, "route"),
)
DURATION = Metric(
    "kpi_http_request_duration_seconds",
    "Response times of the workload's pods, in the buckets that all of them have. "
    "Apdex takes the next lower bound where T or 4 T is none.",
    "histogram",
    WORKLOAD,
)
PODS = Metric(
    "kpi_application_pods",
    "Pods of the workload whose metrics were read in the last pass.",
    "gauge",
    WORKLOAD,
)

SLICE = 250
"""Lines read before other tasks may run: 14 ms when all are new, 0.2 ms when none is."""

AT_ONCE = 8
"""Pods asked at the same time."""

HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"}

Workload = tuple[str, str, str]
"""Values of the WORKLOAD labels."""


class Settings(Section):
    """How the pods of all `applications` are scraped."""

    interval: Duration = timedelta(seconds=15)
    """Time between two passes over an application's pods."""
    timeout: Duration = timedelta(seconds=10)
    """Time that a pass over all pods of an application may take."""
    pod_timeout: Duration = timedelta(seconds=3)
    """Time that one pod has to answer."""
    window: Duration = timedelta(minutes=1)
    """Time that the KPIs of the morning check look back."""
    max_bytes: int = 4 * 1024 * 1024
    """Longest page that is read."""
    max_lines: int = 50_000
    """Most lines that a page may have; also the most different ones kept of an application."""


@dataclass(slots=True)
class Group:
    """The pods of one workload, and what became of them in this pass."""

    merge: Merge
    window: Window
    read: int = 0


class Scrape:
    """One application: its pods' last pages and its merged series."""

    def __init__(self, application: Application, settings: Settings, clients: Clients) -> None:
        self._application = application
        self._settings = settings
        self._clients = clients
        self._reader = PageReader(
            f"{application.histogram}_", classifier(application), max_slots=settings.max_lines
        )
        self._groups: dict[Workload, Group] = {}
        self._older: frozenset[str] | None = None
        self._passed: float | None = None

    async def collect(self) -> Collected:
        """Read every ready pod once and return the merged series.

        Raises TransientError when the pods are not known yet or there never was one; the error of
        a pod when none of them could be read.
        """
        app = self._application
        pods = self._clients.pods.matching(app.namespace, app.selector)  # starts the stream, too
        if not self._clients.pods.synced:
            raise TransientError("the pod stream is not synced yet")
        if self._older is None:
            self._older = frozenset(pod.uid for pod in pods)
        asked = [(pod, label) for pod in pods if pod.ready and (label := self._label(pod))]
        pages, errors = await self._pages(asked)
        if errors and not pages:
            raise errors[0]
        for pod, label, page in pages:
            group = self._groups.setdefault(label, Group(Merge(), Window(self._settings.window)))
            group.merge.add(pod.uid, page, self._reader.targets, baseline=pod.uid in self._older)
            group.read += 1
            await self._clients.clock.sleep(timedelta(0))
        if not self._groups:
            raise TransientError(f"application {app.name} has no ready pod with a known workload")
        return self._close({pod.uid for pod in pods})

    async def _pages(
        self, asked: Sequence[tuple[PodView, Workload]]
    ) -> tuple[list[tuple[PodView, Workload, Page]], list[RunbookdError]]:
        """Return the pages of the pods that gave one, and the errors of the others."""
        free = asyncio.Semaphore(AT_ONCE)
        pages: list[tuple[PodView, Workload, Page]] = []
        errors: list[RunbookdError] = []

        async def ask(pod: PodView, label: Workload) -> None:
            async with free:
                try:
                    pages.append((pod, label, await self._page(pod)))
                except RunbookdError as error:
                    errors.append(error)

        await asyncio.gather(*(ask(pod, label) for pod, label in asked))
        return pages, errors

    async def _page(self, pod: PodView) -> Page:
        """GET and read the page of one pod."""
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        answer = await self._clients.http.get(
            f"http://{host}:{self._application.port}{self._application.path}",
            deadline=self._settings.pod_timeout,
            max_bytes=self._settings.max_bytes,
            headers=HEADERS,
        )
        if answer.status != 200:
            raise TransientError(f"pod {pod.name} answered {answer.status}")
        kind = answer.headers.get("Content-Type", "text/plain")
        if not kind.lower().startswith("text/plain"):
            raise PermanentError(f"pod {pod.name} answered {kind!r}, not the text format")
        lines = answer.body.split(b"\n")
        if len(lines) > self._settings.max_lines:
            raise PageError(f"the page of pod {pod.name} has {len(lines)} lines")
        page = self._reader.blank()
        for start in range(0, len(lines), SLICE):
            self._reader.read(lines[start : start + SLICE], page)
            await self._clients.clock.sleep(timedelta(0))
        return self._reader.finish(page)

    def _label(self, pod: PodView) -> Workload | None:
        """Return the workload that the requests of `pod` are published for, if it is known."""
        app = self._application
        if app.workload:
            return app.namespace, app.workload, app.workload_type
        return (pod.namespace, pod.workload, pod.workload_type) if pod.workload else None

    def _close(self, living: set[str]) -> Collected:
        """End the pass: what it brought goes into totals and windows, and out."""
        now = self._clients.clock.monotonic()
        passed, self._passed = self._passed, now
        samples: list[Sample] = []
        readings: list[Reading] = []
        for label, group in self._groups.items():
            increment = group.merge.close(living, 0.0 if passed is None else now - passed)
            if passed is not None:
                group.window.push(increment)
                readings += kpis(label, group.window.total(), self._application.apdex)
            samples += series(label, group.merge)
            samples.append(Sample(PODS, label, group.read))
            group.read = 0
        return Collected(samples, readings)


def series(label: Workload, merge: Merge) -> list[Sample]:
    """Return the counters and the histogram of one workload."""
    found = []
    for route, (requests, failed) in sorted(merge.requests().items()):
        found.append(Sample(REQUESTS, (*label, route), requests))
        found.append(Sample(ERRORS, (*label, route), failed))
    buckets = merge.histogram()
    found += [Sample(DURATION, label, count, "_bucket", go_float(le)) for le, count in buckets]
    if buckets:
        found.append(Sample(DURATION, label, buckets[-1][1], "_count"))
        found.append(Sample(DURATION, label, merge.seconds(), "_sum"))
    return found


def go_float(number: float) -> str:
    """Write a bound as Prometheus does."""
    return str(floatToGoString(number))  # type: ignore[no-untyped-call]  # the client has no types


def kpis(label: Workload, window: Increment, satisfied: timedelta) -> list[Reading]:
    """Return the KPIs of one workload over `window`; those that are unknown are left out."""
    requests = window.requests
    values = {
        "latency_p95": quantile(0.95, window.buckets()),
        "error_ratio": window.failures / requests if requests else None,
        "throughput": requests / window.seconds if window.seconds else None,
        "apdex": apdex(window, satisfied),
    }
    subject = tuple(zip(WORKLOAD, label, strict=True))
    return [Reading(kpi, subject, value) for kpi, value in values.items() if value is not None]


def sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    """Return one source for each application."""
    return [
        PolledSource(
            application.name,
            settings.interval,
            settings.timeout,
            Scrape(application, settings, clients).collect,
        )
        for application in clients.applications
    ]


SPEC = CollectorSpec(
    name="app_metrics",
    help="Requests, errors and response times of the applications, merged over their pods.",
    settings=Settings,
    metrics=(REQUESTS, ERRORS, DURATION, PODS),
    sources=sources,
    kpis=("latency_p95", "error_ratio", "throughput", "apdex"),
    reads_kubernetes=True,
)
