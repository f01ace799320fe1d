"""The responder's own metrics, declared in one place; one object, handed to whoever counts."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector
from typing_extensions import override

from responder.domain.dead_letter import DeadLetterReason

LATENCIES_SECONDS = (5, 10, 15, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1800, 3600)
"""From the demo's pace (seconds) to the guide's last escalation level (an hour)."""


STORED = frozenset({"responder_inbox_depth", "responder_outbox_depth", "responder_incidents_open"})
"""What is counted in the store when it is asked for."""


class ResponderMetrics:
    """Every metric of the responder, on a registry of its own (`registry`)."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()

        def counter(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(f"responder_{name}", documentation, labels, registry=own)

        def gauge(name: str, documentation: str, *labels: str) -> Gauge:
            return Gauge(f"responder_{name}", documentation, labels, registry=own)

        def histogram(name: str, documentation: str) -> Histogram:
            return Histogram(
                f"responder_{name}", documentation, registry=own, buckets=LATENCIES_SECONDS
            )

        self.alerts_received = counter(
            "alerts_received_total", "Alerts of stored deliveries, counted when they are worked on."
        )
        self.deliveries = counter(
            "deliveries_total",
            "Webhook deliveries by result: stored, malformed, too_large, interrupted, queue_full"
            " or store_unavailable.",
            "result",
        )
        self.dead_letters = counter(
            "dead_letters_total", "Deliveries that could not be used, kept for people.", "reason"
        )
        # Each is there with 0 from the start: Prometheus' `increase` sees nothing of a series'
        # first value, and the first dead letter of a reason must page, too.
        for reason in DeadLetterReason:
            self.dead_letters.labels(reason.value)
        self.alerts_truncated = counter(
            "alerts_truncated_total", "Alerts that Alertmanager cut off (max_alerts)."
        )
        self.alerts_reconciled = counter(
            "alerts_reconciled_total",
            "Alerts that began or ended by what Alertmanager's API said; no webhook told of it.",
            "status",
        )
        self.reconciliations = counter(
            "reconciliations_total",
            "Times that every Alertmanager was asked, by who answered: all, some or none.",
            "answered",
        )
        self.alertmanager_failures = counter(
            "alertmanager_failures_total",
            "Questions that an Alertmanager did not answer: away, refused or malformed.",
            "reason",
        )
        for each, values in (
            (self.alerts_reconciled, ("firing", "resolved")),
            (self.reconciliations, ("all", "some", "none")),
            (self.alertmanager_failures, ("away", "refused", "malformed")),
        ):
            for value in values:
                each.labels(value)
        self.last_intake = gauge(
            "last_intake_timestamp_seconds", "When a delivery was last stored; 0 before the first."
        )
        self.intake_waiting = gauge("intake_waiting", "Deliveries that wait for their commit.")
        self.store_up = gauge("store_up", "Whether the store answered this scrape; 0 or 1.")
        self.inbox_depth = gauge("inbox_depth", "Deliveries that wait to become alerts.")
        self.outbox_depth = gauge("outbox_depth", "Messages to people that wait to be sent.")
        self.incidents_open = gauge("incidents_open", "Incidents that are not over.")
        self.actions = counter("actions_total", "Steps ended, by outcome.", "action", "outcome")
        self.gate_verdicts = counter(
            "gate_verdicts_total", "The gate's verdicts by reason.", "verdict", "reason"
        )
        self.time_to_act = histogram(
            "time_to_act_seconds", "From the start of an incident to its first effect."
        )
        self.time_to_verify = histogram(
            "time_to_verify_seconds", "From the start of an incident to the verified cure."
        )
        self.notifications = counter(
            "notifications_total", "Messages to people by result.", "receiver", "result"
        )
        self.runs = counter("runs_total", "Runs ended, by result.", "result")
        self.audit_findings = counter(
            "audit_findings_total", "What the auditor found stuck, dead or unstarted.", "finding"
        )
        self.replicas = gauge("replicas", "Replicas that hold a lease; 0 without a shared store.")
        self.evictions = counter(
            "evictions_total", "Replicas that this one took for dead, since they were silent."
        )
        self.workflows_taken_over = counter(
            "workflows_taken_over_total", "Workflows of dead replicas that this one moved."
        )
        self.pruned_rows = counter(
            "pruned_rows_total", "Rows deleted since the time to keep them was over.", "table"
        )
        self.last_prune = gauge(
            "last_prune_timestamp_seconds",
            "When this replica last found nothing left to delete; only the leading one looks.",
            "table",
        )

    def page(self, *, stored: bool) -> bytes:
        """Return the exposition; without `stored`, what only the store knows is left out."""
        return generate_latest(self.registry if stored else _Without(self.registry, STORED))


class _Without(Collector):
    """A registry without some families: what is unknown is absent, not what it was once."""

    def __init__(self, registry: CollectorRegistry, names: Iterable[str]) -> None:
        self._registry = registry
        self._names = frozenset(names)

    @override
    def collect(self) -> Iterable[Metric]:
        return (each for each in self._registry.collect() if each.name not in self._names)
