"""Scrapes the application's pods and publishes what they counted as series of the workload."""

from collections.abc import Sequence
from datetime import timedelta

from prometheus_client.utils import floatToGoString

from exporter.application import Application
from exporter.contract import Collected, CollectorSpec, Metric, PolledSource, Reading, Sample
from exporter.pod_group import Group
from exporter.podpages import Limits, Reason
from exporter.ports import Clients
from exporter.scraping import Scraping, Workload
from exporter.shared.config import Duration, Section
from exporter.tally import quantile

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
    "Response times of the workload's pods, in the buckets that all of them have.",
    "histogram",
    WORKLOAD,
)
SATISFIED = Metric(
    "kpi_http_requests_satisfied_total",
    "Requests answered well within T of Apdex; see kpi_apdex_exact.",
    "counter",
    WORKLOAD,
)
TOLERATING = Metric(
    "kpi_http_requests_tolerating_total",
    "Requests answered well between T and 4 T of Apdex; see kpi_apdex_exact.",
    "counter",
    WORKLOAD,
)
APDEX_EXACT = Metric(
    "kpi_apdex_exact",
    "1 when T and 4 T are bounds of the histogram and failures can be told from its buckets; "
    "0 when the next lower bound stands for one, or failed requests count as answered.",
    "gauge",
    WORKLOAD,
)
P50, P99 = (
    Metric(
        f"kpi_latency_p{percent}_seconds",
        f"Response time that {percent} % of requests keep, over the source's window.",
        "gauge",
        WORKLOAD,
    )
    for percent in (50, 99)
)
CAPPED = Metric(
    "kpi_latency_capped",
    "1 when the percentile lies beyond the last finite bucket bound, which then stands for it.",
    "gauge",
    (*WORKLOAD, "percentile"),
)
ROUTE_P50, ROUTE_P95, ROUTE_P99 = (
    Metric(
        f"kpi_route_latency_p{percent}_seconds",
        f"Response time that {percent} % of the route's requests keep, over the source's window; "
        "never above the last finite bucket bound.",
        "gauge",
        (*WORKLOAD, "route"),
    )
    for percent in (50, 95, 99)
)
USED = Metric(
    "kpi_saturation_used",
    "What the workload's pods use of a resource, together.",
    "gauge",
    (*WORKLOAD, "resource"),
)
LIMIT = Metric(
    "kpi_saturation_limit",
    "What the workload's pods have of a resource, together.",
    "gauge",
    (*WORKLOAD, "resource"),
)
RATIO = Metric(
    "kpi_saturation_ratio",
    "What the fullest pod uses of what it has.",
    "gauge",
    (*WORKLOAD, "resource"),
)
PODS = Metric(
    "kpi_application_pods",
    "Pods of the workload whose metrics were read in the last pass.",
    "gauge",
    WORKLOAD,
)
UNREAD = Metric(
    "kpi_application_page_failures_total",
    "Pages of ready pods that could not be read; what they count comes with the next one that can.",
    "counter",
    (*WORKLOAD, "reason"),
)
UNSHARED = Metric(
    "kpi_application_bounds_unshared",
    "Bucket bounds that some pods have and others lack, so that they are not published.",
    "gauge",
    WORKLOAD,
)
LINES = Metric(
    "kpi_application_lines_read_total",
    "Lines of all pages of the application.",
    "counter",
    ("application",),
)
PARSED = Metric(
    "kpi_application_lines_parsed_total",
    "Lines of kpi_application_lines_read_total that were new and had to be parsed.",
    "counter",
    ("application",),
)
CUT = Metric(
    "kpi_application_lines_cut_total",
    "Lines left out because max_label_sets of the application was reached.",
    "counter",
    ("application",),
)
KNOWN = Metric(
    "kpi_application_label_sets",
    "Different lines that are known of the application's pages.",
    "gauge",
    ("application",),
)
FOLDED = Metric(
    "kpi_application_lines_folded_total",
    "New lines whose route is counted as `other`, since max_routes was reached or routes are set.",
    "counter",
    ("application",),
)


class Settings(Section):
    """How the pods of all `applications` are scraped."""

    interval: Duration = timedelta(seconds=15)
    """Time between two passes over an application's pods."""
    timeout: Duration = timedelta(seconds=10)
    """Time that a pass over all pods of an application may take."""
    pod_timeout: Duration = timedelta(seconds=3)
    """Time that one pod has to answer."""
    window: Duration = timedelta(minutes=1)
    """Time that the percentiles and the KPIs of the morning check look back."""
    max_bytes: int = 4 * 1024 * 1024
    """Longest page that is read; a longer one is left out whole."""
    max_lines: int = 50_000
    """Most lines that a page may have; a longer one is left out whole."""
    max_label_sets: int = 50_000
    """Most different lines that are kept of an application; lines beyond them are left out."""


class Scrape:
    """One application and its series."""

    def __init__(self, application: Application, settings: Settings, clients: Clients) -> None:
        limits = Limits(
            settings.timeout,
            settings.pod_timeout,
            settings.max_bytes,
            settings.max_lines,
            settings.max_label_sets,
        )
        self._name = application.name
        self._scraping = Scraping(application, limits, settings.window, clients)

    async def collect(self) -> Collected:
        """Read every ready pod once and return the merged series. Raises as Scraping.run does."""
        await self._scraping.run()
        samples: list[Sample] = []
        readings: list[Reading] = []
        for label, group in self._scraping.groups.items():
            samples += failed_pages(label, group)
            if label[1]:
                samples += series(label, group)
                samples += latencies(label, group)
                readings += kpis(label, group)
        return Collected([*samples, *effort(self._name, self._scraping)], readings)


def effort(application: str, scraping: Scraping) -> list[Sample]:
    """Return what reading the application's pages took."""
    name = (application,)
    return [
        Sample(LINES, name, scraping.pages.lines),
        Sample(PARSED, name, scraping.pages.parsed),
        Sample(CUT, name, scraping.pages.cut),
        Sample(KNOWN, name, scraping.reader.known),
        Sample(FOLDED, name, scraping.classifier.folded),
    ]


def series(label: Workload, group: Group) -> list[Sample]:
    """Return the counters, the histogram and the levels of one workload."""
    total = group.total
    found = []
    for route, (requests, failed) in sorted(total.requests.items()):
        found.append(Sample(REQUESTS, (*label, route), requests))
        found.append(Sample(ERRORS, (*label, route), failed))
    found += [
        Sample(DURATION, label, count, "_bucket", go_float(le)) for le, count in total.buckets
    ]
    if total.buckets:
        found.append(Sample(DURATION, label, total.buckets[-1][1], "_count"))
        found.append(Sample(DURATION, label, total.duration, "_sum"))
    if group.apdex is not None:
        found.append(Sample(SATISFIED, label, group.apdex.satisfied))
        found.append(Sample(TOLERATING, label, group.apdex.tolerating))
        found.append(Sample(APDEX_EXACT, label, float(group.apdex.exact)))
    for resource, usage in group.usage.items():
        found.append(Sample(USED, (*label, resource), usage.used))
        if usage.limit is not None:
            found.append(Sample(LIMIT, (*label, resource), usage.limit))
        if usage.fullest is not None:
            found.append(Sample(RATIO, (*label, resource), usage.fullest))
    found.append(Sample(PODS, label, group.read))
    found.append(Sample(UNSHARED, label, group.unshared))
    return found


def latencies(label: Workload, group: Group) -> list[Sample]:
    """Return the percentiles of one workload's window; those that are unknown are left out."""
    if group.recent is None:
        return []
    found = []
    for name, q, metric in (("p50", 0.5, P50), ("p95", 0.95, None), ("p99", 0.99, P99)):
        value = quantile(q, group.recent.buckets)
        if value is None:
            continue
        found.append(Sample(CAPPED, (*label, name), float(value.capped)))
        if metric is not None:  # p95 is a KPI, and as such a reading
            found.append(Sample(metric, label, value.seconds))
    for route, buckets in sorted(group.recent.routes.items()):
        for q, metric in ((0.5, ROUTE_P50), (0.95, ROUTE_P95), (0.99, ROUTE_P99)):
            value = quantile(q, buckets)
            if value is not None:
                found.append(Sample(metric, (*label, route), value.seconds))
    return found


def failed_pages(label: Workload, group: Group) -> list[Sample]:
    """Return how many pages could not be read; by every reason, so that the first is a rise."""
    return [Sample(UNREAD, (*label, reason), group.failures[reason]) for reason in sorted(Reason)]


def go_float(number: float) -> str:
    """Write a bound as Prometheus does."""
    return str(floatToGoString(number))  # type: ignore[no-untyped-call]  # the client has no types


def kpis(label: Workload, group: Group) -> list[Reading]:
    """Return the KPIs of one workload over its window; those that are unknown are left out."""
    recent = group.recent
    if recent is None:
        return []
    requests = recent.total
    latency = quantile(0.95, recent.buckets)
    values = {
        "latency_p95": latency and latency.seconds,
        "error_ratio": recent.failures / requests if requests else None,
        "throughput": requests / recent.seconds if recent.seconds else None,
        "apdex": group.recent_apdex(),
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
            made_of=(application, settings),
        )
        for application in clients.applications
    ]


SPEC = CollectorSpec(
    name="app_metrics",
    help="Requests, errors and response times of the applications, merged over their pods.",
    settings=Settings,
    metrics=(
        *(REQUESTS, ERRORS, DURATION, SATISFIED, TOLERATING, APDEX_EXACT),
        *(P50, P99, CAPPED, ROUTE_P50, ROUTE_P95, ROUTE_P99),
        *(USED, LIMIT, RATIO),
        *(PODS, UNREAD, UNSHARED, LINES, PARSED, CUT, KNOWN, FOLDED),
    ),
    sources=sources,
    kpis=("latency_p95", "error_ratio", "throughput", "apdex"),
    reads_kubernetes=True,
    permissions=(
        "core/pods:list,watch",
        "apps/replicasets:list,watch",
    ),
)
