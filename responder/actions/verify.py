"""Asks Prometheus whether the cure worked: a KPI against its target, over a recording rule."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Self

from pydantic import Field, model_validator
from typing_extensions import override

from exporter.shared.config import Duration, Section, format_duration
from exporter.shared.errors import PermanentError, TransientError
from responder.contract import Action, ActionSpec, MetricsQuery, Role, StepContext
from responder.domain.plan import Blast, Plan, Probe, Settled, SettledState
from responder.domain.values import JsonObject, Labels, Target
from responder.domain.verification import Finding, Look, Step, assess, progress
from responder.promql import selector

COLLECTORS: Mapping[str, str] = {
    "latency_p95": "app_metrics",
    "error_ratio": "app_metrics",
    "throughput": "app_metrics",
    "apdex": "app_metrics",
    "availability": "http_probe",
    "network_latency": "http_probe",
    "restarts_per_day": "kubernetes",
    "unready_pods": "kubernetes",
    "node_cpu_ratio": "usage",
    "node_memory_ratio": "usage",
    "node_disk_ratio": "usage",
    "volume_disk_ratio": "usage",
    "workload_cpu_ratio": "usage",
    "workload_memory_ratio": "usage",
    "cluster_cpu_requested_ratio": "usage",
    "cluster_memory_requested_ratio": "usage",
    "cluster_pods_fit": "usage",
    "database_connections_ratio": "postgres",
    "database_query_time": "postgres",
    "database_slow_queries": "postgres",
    "database_size": "postgres",
    "database_growth": "postgres",
    "database_pool_ratio": "pgbouncer",
    "tasks_created_per_day": "sql_kpi",
    "active_users": "sql_kpi",
}
"""Which collector's last success tells how fresh a KPI is. One that is not listed is as old as the
stalest source of all."""

REQUEST_COLLECTOR = "app_metrics"
"""Its KPIs are made of requests, and say nothing when there were few."""

SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "node_cpu_ratio": ("node",),
    "node_memory_ratio": ("node",),
    "node_disk_ratio": ("node",),
    "volume_disk_ratio": ("namespace", "persistentvolumeclaim"),
    "cluster_cpu_requested_ratio": (),
    "cluster_memory_requested_ratio": (),
    "cluster_pods_fit": (),
    "database_connections_ratio": ("database",),
    "database_query_time": ("database",),
    "database_slow_queries": ("database",),
    "database_size": ("database",),
    "database_growth": ("database",),
    "database_pool_ratio": ("database", "pgbouncer"),
    "tasks_created_per_day": ("database",),
    "active_users": ("database",),
}
"""KPIs that are not about a workload, with the alert's labels that name their subject."""

FRESH_WINDOWS = 1.5
"""A value whose newest sample is older than this many windows is stale: by then most of what the
rule's window covers was never measured."""

STATES: Mapping[Step, SettledState] = {
    Step.WAIT: SettledState.PENDING,
    Step.HOLDS: SettledState.DONE,
    Step.FAILS: SettledState.FAILED,
    Step.CANNOT_TELL: SettledState.CANNOT_TELL,
}


class Params(Section):
    """Which KPI must be within its target, and when it is believed."""

    kpi: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """A KPI's name, as in `kpi_target{kpi}`."""
    bound: float | None = Field(default=None, allow_inf_nan=False)
    """What to compare with, for a workload that the KPI's target does not fit: of hundreds of pods
    one always starts. Whether below or above is good stays as `kpi_target` says."""
    settle: Duration = timedelta(seconds=30)
    """Time after the effect that does not count."""
    window: Duration = timedelta(minutes=2)
    """The window of the recording rule: before settle + window nothing is believed."""
    timeout: Duration = timedelta(minutes=10)
    """When a KPI that is still out of its target has failed, counted like `settle`."""
    min_requests: float = Field(default=50, ge=0)
    """Fewer requests in the window say nothing about a KPI that is made of requests."""

    @model_validator(mode="after")
    def _has_time(self) -> Self:
        if self.timeout < self.settle + self.window:
            raise ValueError("`timeout` is over before `settle` and `window` are")
        return self


class Verify(Action[Params]):
    """Changes nothing; each call of `settled` is one look."""

    @override
    async def plan(self, target: Target, params: Params, ctx: StepContext) -> Plan:
        subject = _subject(target, params.kpi, ctx.labels)
        within = "its target" if params.bound is None else f"{params.bound:g}"
        summary = f"verify that {params.kpi} of {_words(subject)} is within {within}"
        return Plan("verify", target, summary, Blast(0, 0), reversible=True)

    @override
    async def apply(self, plan: Plan, params: Params, ctx: StepContext) -> None:
        pass

    @override
    async def probe(self, plan: Plan, params: Params, ctx: StepContext) -> Probe:
        return Probe.APPLIED

    @override
    async def settled(self, plan: Plan, params: Params, ctx: StepContext) -> Settled:
        look, finding, reason = None, None, ""
        try:
            subject = _subject(plan.target, params.kpi, ctx.labels)
            look = await _look(ctx.metrics, params, subject)
            finding = _assess(look, params, ctx.now)
            reason = finding.reason
        except (TransientError, PermanentError) as error:
            reason = f"Prometheus could not be asked: {error}"
        step = progress(
            finding,
            started_at=ctx.intent_at,
            settle=params.settle,
            window=params.window,
            timeout=params.timeout,
            now=ctx.now,
        )
        since = format_duration(timedelta(seconds=int((ctx.now - ctx.intent_at).total_seconds())))
        waiting = f" (looked after {since})" if step is Step.WAIT else ""
        return Settled(STATES[step], f"{params.kpi}: {reason}{waiting}", _facts(params.kpi, look))


def _subject(target: Target, kpi: str, labels: Labels) -> Labels:
    """Return the labels of the KPI's series. Raises PermanentError when none is known."""
    names = SUBJECTS.get(kpi)
    if names is None:
        kind = target.kind.lower()
        return {"namespace": target.namespace, "workload": target.name, "workload_type": kind}
    subject = {name: labels.get(name, "") for name in names}
    if not all(subject.values()):
        raise PermanentError(f"{kpi} is about a {names[-1]}, and the alert names none")
    return subject


def _level(subject: Labels) -> str:
    """Return what the recording rule's name starts with: the labels that its series keep."""
    return "namespace_workload" if "workload" in subject else "_".join(subject) or "cluster"


def _words(subject: Labels) -> str:
    values = [value for name, value in subject.items() if name != "workload_type"]
    return "/".join(values) or "the cluster"


async def _look(metrics: MetricsQuery, params: Params, subject: Labels) -> Look:
    """Ask the four questions of one look, one after another: a look costs Prometheus little."""
    kpi, level = params.kpi, _level(subject)
    series = selector(subject)
    collector = COLLECTORS.get(kpi)
    requests = None
    if collector == REQUEST_COLLECTOR:
        # Without a series there were no requests that anybody saw.
        requests = await _one(metrics, f"namespace_workload:kpi_requests:increase{series}") or 0.0
    value = await _one(metrics, f"{level}:kpi_{kpi}:rate{series}")
    target, comparison = await _target(metrics, kpi)
    target = target if params.bound is None else params.bound
    of = selector({"collector": collector}) if collector else ""
    age_of = "max" if collector else "min"
    newest = await _one(metrics, f"{age_of}(kpi_source_last_success_timestamp_seconds{of})")
    sampled_at = None if newest is None else datetime.fromtimestamp(newest, UTC)
    return Look(value, target, comparison, requests, sampled_at)


async def _one(metrics: MetricsQuery, promql: str) -> float | None:
    """Return the value of the only series; None when there is none, or more than one."""
    found = await metrics.instant(promql)
    return found[0].value if len(found) == 1 else None


async def _target(metrics: MetricsQuery, kpi: str) -> tuple[float | None, str]:
    found = await metrics.instant(f"max by (kpi, comparison) (kpi_target{selector({'kpi': kpi})})")
    if len(found) != 1:
        return None, ""
    return found[0].value, found[0].labels.get("comparison", "")


def _assess(look: Look, params: Params, now: datetime) -> Finding:
    return assess(
        look,
        min_requests=params.min_requests,
        stale_after=FRESH_WINDOWS * params.window,
        now=now,
    )


def _facts(kpi: str, look: Look | None) -> JsonObject:
    if look is None:
        return {"kpi": kpi}
    # NaN is not JSON, and says no more than null.
    numbers = {"value": look.value, "target": look.target, "requests": look.requests}
    facts = {name: _finite(number) for name, number in numbers.items()}
    return {"kpi": kpi, "comparison": look.comparison, **facts}


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None


SPEC = ActionSpec(
    name="verify",
    help="Wait until a KPI is within its target, and say whether it came to be.",
    params=Params,
    action=Verify(),
    role=Role.VERIFY,
    # The verdict is the action's own; the engine's deadline only stands behind it.
    timeout=lambda params: params.timeout + timedelta(minutes=1),
)
