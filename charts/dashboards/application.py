"""Application overview: are users well served, and if not, of which workload and since when."""

from charts.dashboards.board import (
    ALERTS,
    NAMESPACE,
    OF_WORKLOAD,
    ROLLOUTS,
    WORKLOAD_NAME,
    WORKLOADS,
    Bars,
    Board,
    Heat,
    Lines,
    Number,
    Query,
    Row,
    States,
    gauge,
    increase,
    least,
    rate,
    total,
)
from charts.dashboards.catalogue import RESTARTS, kpi_lines, kpi_number, target
from exporter.kpi import WORKLOAD

BUCKETS = "kpi_http_request_duration_seconds_bucket"
PROBE = (*WORKLOAD, "probe")
ROUTE = (*WORKLOAD, "route")
ROUTE_NAME = WORKLOAD_NAME + " {{route}}"
ALLOWED = f"(1 - {target('availability')})"
"""The share of the probes that may fail."""
FELT = "latency_p95|error_ratio|apdex|availability|network_latency|restarts_per_day|workload_.+"


def budget_left() -> str:
    """Return the share of the failed probes that the target allows in 30 days and that is left."""
    failed = total(
        increase("kpi_probe_failures_total", *PROBE, where=OF_WORKLOAD, window="30d"), *WORKLOAD
    )
    tried = total(
        increase("kpi_probe_attempts_total", *PROBE, where=OF_WORKLOAD, window="30d"), *WORKLOAD
    )
    return f"1 - {failed} / ({tried} > 0) / on () group_left () {ALLOWED}"


def percentile(share: float) -> str:
    """Return a percentile of the response times of all that is chosen, together."""
    spread = total(rate(BUCKETS, *WORKLOAD, "le", where=OF_WORKLOAD), "le")
    return f"histogram_quantile({share}, {spread})"


NOW = Row(
    "Are users well served?",
    (
        kpi_number(
            "latency_p95", "Slowest p95", "The slowest workload's 95th percentile over 2 minutes."
        ),
        kpi_number(
            "error_ratio",
            "Highest error ratio",
            "Of the workload with most errors, over 2 minutes.",
        ),
        kpi_number("throughput", "Requests", "Of all that is chosen, together.", over="sum"),
        kpi_number("apdex", "Lowest Apdex", "Of the least satisfied users.", over="min"),
        kpi_number(
            "availability", "Lowest availability", "Of the probes of 2 minutes.", over="min"
        ),
        Number(
            title="Least error budget left",
            about="What of the failed probes that the target allows in 30 days is left; below 0 the"
            " target is missed: no risky releases until it has recovered.",
            unit="percentunit",
            decimals=1,
            queries=(Query(f"min({budget_left()})", "budget left"),),
            bad_below=0.0,
            guides=("KpiAvailabilityBudgetLow",),
        ),
        States(
            title="Which KPI misses its target, and since when?",
            about="Red: at least one of the chosen workloads misses the target. A gap: not known.",
            unit="short",
            queries=(
                Query(
                    least("kpi_within_target", "kpi", where=f'kpi=~"{FELT}", {OF_WORKLOAD}'),
                    "{{kpi}}",
                ),
            ),
            yes="within target",
            no="missed",
            guides=("KpiLatencyHigh", "KpiErrorRatioHigh", "KpiAvailabilityLow"),
        ),
    ),
)

TRAFFIC = Row(
    "How much is asked?",
    (
        kpi_lines(
            "throughput", "Requests per workload", "A sudden end is as bad as a sudden rise."
        ),
        Lines(
            title="Requests per route",
            about="Which part of the API is used; routes beyond the exporter's limit are `other`.",
            unit="reqps",
            queries=(
                Query(
                    total(rate("kpi_http_requests_total", *ROUTE, where=OF_WORKLOAD), "route"),
                    "{{route}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

LATENCY = Row(
    "How long do answers take?",
    (
        kpi_lines(
            "latency_p95",
            "Response time p95 per workload",
            "95 % of the requests of 2 minutes were answered within this time.",
            guide="KpiLatencyHigh",
        ),
        Lines(
            title="Response time percentiles",
            about="Of all that is chosen, together. p50 rising: everything is slow. Only p99: some"
            " requests wait for something.",
            unit="s",
            queries=tuple(
                Query(percentile(share), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)
            ),
            target=target("latency_p95"),
        ),
        Heat(
            title="How are the response times spread?",
            about="Requests by the bucket of their response time. Two bands: two kinds of request,"
            " or one pod that differs.",
            unit="s",
            queries=(
                Query(total(increase(BUCKETS, *WORKLOAD, "le", where=OF_WORKLOAD), "le"), "{{le}}"),
            ),
        ),
        Lines(
            title="Response time p95 per route",
            about="Over the source's window. A single slow route points to its queries.",
            unit="s",
            queries=(
                Query(
                    gauge("kpi_route_latency_p95_seconds", *ROUTE, where=OF_WORKLOAD), ROUTE_NAME
                ),
            ),
            target=target("latency_p95"),
        ),
    ),
)

ERRORS = Row(
    "What fails?",
    (
        kpi_lines(
            "error_ratio",
            "Error ratio per workload",
            "Share of the requests of 2 minutes whose status is an error of the application.",
            guide="KpiErrorRatioHigh",
        ),
        Lines(
            title="Errors per route",
            about="Where the errors come from. Compare with the rollouts that are marked.",
            unit="reqps",
            queries=(
                Query(
                    total(rate("kpi_http_request_errors_total", *ROUTE, where=OF_WORKLOAD), *ROUTE),
                    ROUTE_NAME,
                ),
            ),
            stacked=True,
        ),
    ),
)

REACHED = Row(
    "Is it reached, and are users satisfied?",
    (
        kpi_lines(
            "availability",
            "Availability per workload",
            "Share of the probes of 2 minutes that got the answer they expect.",
            guide="KpiAvailabilityLow",
        ),
        kpi_lines(
            "apdex",
            "User satisfaction (Apdex)",
            "1: every request was answered within T; failed requests count as frustrated.",
            guide="KpiApdexLow",
        ),
        Lines(
            title="How fast is the error budget spent?",
            about="1 spends it in exactly 30 days, 14.4 in two; the longer windows say whether it"
            " lasts.",
            unit="short",
            queries=tuple(
                Query(
                    f"max by (namespace, workload) ("
                    f"namespace_workload:kpi_probe_failures:ratio{window}{{{OF_WORKLOAD}}})"
                    f" / on () group_left () {ALLOWED}",
                    f"{WORKLOAD_NAME} over {window}",
                )
                for window in ("1h", "6h", "3d")
            ),
            guides=("KpiAvailabilityBudgetBurn", "KpiAvailabilityBudgetLow"),
        ),
        Lines(
            title="Where does a probe's time go?",
            about="Phases of the last probe. Resolve: DNS. Connect: network. Processing: the"
            " application.",
            unit="s",
            queries=(
                Query(
                    gauge("kpi_probe_phase_seconds", *PROBE, "phase", where=OF_WORKLOAD),
                    "{{probe}} {{phase}}",
                ),
            ),
            stacked=True,
        ),
        kpi_lines(
            "network_latency",
            "Network latency per workload",
            "Time to connect by TCP, averaged.",
            guide="KpiNetworkLatencyHigh",
        ),
        Bars(
            title="Why do probes fail?",
            about="The reason of the last probe of each target that failed.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_probe_failure_reason", *PROBE, "reason", where=OF_WORKLOAD),
                    "{{probe}}: {{reason}}",
                ),
            ),
            guides=("KpiAvailabilityLow",),
        ),
    ),
)

PEOPLE = Row(
    "What do people do?",
    (
        kpi_lines(
            "tasks_created_per_day",
            "Tasks created (UTC day)",
            "Falls to 0 at midnight UTC. A line that stays flat in working hours: nobody can work.",
            where="",
        ),
        kpi_lines(
            "active_users",
            "Active users",
            "People seen in the last minutes; of the database.",
            where="",
        ),
    ),
)

ROOM = Row(
    "Is there room?",
    (
        kpi_lines(
            "workload_cpu_ratio",
            "CPU used of requests",
            "What autoscalers count. Above the target for long: more replicas, or larger requests.",
            width=8,
            guide="KpiWorkloadCpuHigh",
        ),
        kpi_lines(
            "workload_memory_ratio",
            "Memory used of requests",
            "A line that only rises is a leak: it ends in a kill.",
            width=8,
            guide="KpiWorkloadMemoryHigh",
        ),
        Lines(
            title="How full are pools and queues?",
            about="What the fullest pod uses of what it has, by resource, as the applications'"
            " settings name them (saturation).",
            unit="percentunit",
            queries=(
                Query(
                    gauge("kpi_saturation_ratio", *WORKLOAD, "resource", where=OF_WORKLOAD),
                    WORKLOAD_NAME + " {{resource}}",
                ),
            ),
            width=8,
        ),
        Lines(
            title="Replicas wanted and available",
            about="A gap between the two: pods do not start, or fall over.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_workload_replicas_desired", *WORKLOAD, where=OF_WORKLOAD),
                    WORKLOAD_NAME + " wanted",
                ),
                Query(
                    gauge("kpi_workload_replicas_available", *WORKLOAD, where=OF_WORKLOAD),
                    WORKLOAD_NAME + " available",
                ),
            ),
            guides=("KpiWorkloadReplicasMissing", "KpiRolloutStuck"),
        ),
        RESTARTS,
    ),
)

BOARD = Board(
    uid="runbookd-application",
    title="Application overview",
    about="Are users well served, and if not: of which workload, since when, and what changed?",
    rows=(NOW, TRAFFIC, LATENCY, ERRORS, REACHED, PEOPLE, ROOM),
    variables=(NAMESPACE, WORKLOADS),
    events=(ROLLOUTS, ALERTS),
)
