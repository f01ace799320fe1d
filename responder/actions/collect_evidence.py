"""Writes down how things stood before any change: the guide's assessment, then the target.

Nothing here may stop a run. What cannot be had (no previous log is kept, the API server is away) is
itself written down, in the place where it was looked for.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable, Iterable, Sequence
from datetime import datetime

from typing_extensions import override

from exporter.shared.config import Section
from exporter.shared.errors import RunbookdError
from exporter.shared.kube import Event, Pod, ReplicaSet, Workload
from exporter.shared.log import clean
from responder.contract import Action, ActionSpec, Role, Session, StepContext
from responder.domain.plan import Blast, Plan, Probe, Settled, SettledState
from responder.domain.values import Target
from responder.promql import selector

PIECE_LIMIT = 64 * 1024
"""Bytes kept of one piece; what is cut is said."""

EVENTS = 20
"""As in the guide's `kubectl get events | tail -20`."""

LOG_PODS = 3
"""Pods whose logs are read, the unhealthy ones first."""

LOG_LINES = 100

DATABASES = 3
"""Databases whose sessions are listed when the alert names none of them."""

SESSIONS = 40
"""Sessions told one by one; all are counted."""


class Params(Section):
    """There is nothing to choose: evidence is wanted whole."""


class CollectEvidence(Action[Params]):
    """Attaches every piece to the incident; a repeat replaces the pieces."""

    @override
    async def plan(self, target: Target, params: Params, ctx: StepContext) -> Plan:
        summary = f"collect evidence about {target}"
        return Plan("collect_evidence", target, summary, Blast(0, 0), reversible=True)

    @override
    async def apply(self, plan: Plan, params: Params, ctx: StepContext) -> None:
        pieces = {
            "pods not healthy": _unhealthy_pods(ctx),
            "last events": _events(ctx, None, None),
            "nodes": _nodes(ctx),
            "target": _describe(ctx, plan.target),
            "target events": _events(ctx, plan.target.namespace, plan.target.name),
            "rollout history": _history(ctx, plan.target),
            "KPIs": _kpis(ctx, plan.target),
            "sources": _sources(ctx),
            **{f"sessions of {name}": _sessions(ctx, name) for name in _databases(ctx)},
        }
        await asyncio.gather(
            _pods_of_target(ctx, plan.target),
            *(_attach(ctx, name, piece) for name, piece in pieces.items()),
        )

    @override
    async def probe(self, plan: Plan, params: Params, ctx: StepContext) -> Probe:
        # What an incarnation that crashed had read is gone; reading again changes nothing.
        return Probe.NOT_APPLIED

    @override
    async def settled(self, plan: Plan, params: Params, ctx: StepContext) -> Settled:
        return Settled(SettledState.DONE, f"evidence about {plan.target} is attached")


async def _attach(ctx: StepContext, name: str, piece: Awaitable[str]) -> None:
    try:
        text = await piece
    except RunbookdError as error:
        text = f"could not be had: {error}"
    ctx.attach(name, _bounded(str(clean(text)) or "(empty)"))


def _bounded(text: str) -> str:
    """Keep the end, where the newest lines of a log stand."""
    whole = text.encode()
    if len(whole) <= PIECE_LIMIT:
        return text
    kept = whole[-PIECE_LIMIT:].decode(errors="ignore")
    return f"[the first {len(whole) - len(kept.encode())} bytes are left out]\n{kept}"


async def _unhealthy_pods(ctx: StepContext) -> str:
    """As the guide's `get pods --all-namespaces | grep -v Running`, but by readiness too."""
    pods = await ctx.kube.pods()
    lines = [_pod_line(pod) for pod in pods if not _is_healthy(pod)]
    return "\n".join(lines) or f"all {len(pods)} pods are healthy"


def _is_healthy(pod: Pod) -> bool:
    return pod.phase == "Succeeded" or (pod.phase == "Running" and pod.ready)


def _pod_line(pod: Pod) -> str:
    ready = sum(container.ready for container in pod.containers)
    parts = [
        f"{pod.namespace}/{pod.name}",
        f"{ready}/{len(pod.containers)} ready",
        "Terminating" if pod.deleting else pod.phase,
        f"node {pod.node or 'none'}",
    ]
    for one in pod.containers:
        state = f"{one.name}: {one.state}"
        state += f" ({one.reason})" if one.reason else ""
        state += f", {one.restarts} restarts" if one.restarts else ""
        state += f", last ended by {one.last_reason}" if one.last_reason else ""
        parts.append(state)
    return "  ".join(parts)


async def _events(ctx: StepContext, namespace: str | None, about: str | None) -> str:
    found = await ctx.kube.events(namespace, involved=about, limit=EVENTS)
    return "\n".join(_event_line(event) for event in found) or "no event is kept"


def _event_line(event: Event) -> str:
    times = f" (x{event.count})" if event.count > 1 else ""
    where = f"{event.namespace} {event.object}"
    return f"{_time(event.at)}  {event.type}  {event.reason}  {where}: {event.message}{times}"


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else "at no known time"


async def _nodes(ctx: StepContext) -> str:
    return "\n".join(
        f"{node.name}  {'Ready' if node.ready else 'NotReady'}"
        f"{', SchedulingDisabled' if node.unschedulable else ''}  {node.version}"
        for node in await ctx.kube.nodes()
    )


async def _describe(ctx: StepContext, target: Target) -> str:
    found = await ctx.kube.describe(target.kind, target.namespace, target.name)
    return f"{target} does not exist" if found is None else json.dumps(clean(found), indent=1)


async def _history(ctx: StepContext, target: Target) -> str:
    if target.kind != "Deployment":
        return f"a {target.kind} has no ReplicaSets"
    workload = await _workload(ctx, target)
    history = await ctx.kube.replica_sets(workload) if workload else ()
    return "\n".join(_history_line(one) for one in history) or "none is kept"


def _history_line(one: ReplicaSet) -> str:
    images = ", ".join(one.images)
    return (
        f"revision {one.revision}  {one.name}  {images}  "
        f"{one.replicas} pods  created {_time(one.created)}"
    )


async def _workload(ctx: StepContext, target: Target) -> Workload | None:
    return await ctx.kube.workload(target.kind, target.namespace, target.name)


async def _kpis(ctx: StepContext, target: Target) -> str:
    """Every recording rule's value for the target, the targets they are held to beside them."""
    rules = {
        "__name__": "namespace_workload:kpi_.+",
        "namespace": target.namespace,
        "workload": target.name,
        "workload_type": target.kind.lower(),
    }
    matcher = selector(rules).replace("__name__=", "__name__=~", 1)
    found = await ctx.metrics.instant(matcher)
    targets = {
        one.labels.get("kpi", ""): f"{one.labels.get('comparison', '')} {one.value:.4g}"
        for one in await ctx.metrics.instant("max by (kpi, comparison) (kpi_target)")
    }
    lines = []
    for one in sorted(found, key=lambda series: series.labels.get("__name__", "")):
        name = one.labels.get("__name__", "")
        wanted = targets.get(name.removeprefix("namespace_workload:kpi_").partition(":")[0])
        lines.append(f"{name}  {one.value:.4g}" + (f"  (target: {wanted})" if wanted else ""))
    return "\n".join(lines) or f"Prometheus has no KPI of {target}"


async def _sources(ctx: StepContext) -> str:
    """Which of the exporter's sources answer, and how the databases stand."""
    found = await ctx.metrics.instant(
        '{__name__=~"kpi_source_up|kpi_postgres_up|kpi_postgres_connections_used'
        '|kpi_postgres_max_connections"}'
    )
    return "\n".join(
        sorted(
            f"{one.labels.get('__name__', '')}{_shown(one.labels.items())}  {one.value:g}"
            for one in found
        )
    )


def _databases(ctx: StepContext) -> Sequence[str]:
    """Return the databases worth a look: the alert's own, or those that are configured."""
    named = ctx.labels.get("database", "")
    return [named] if named in ctx.databases.names else ctx.databases.names[:DATABASES]


async def _sessions(ctx: StepContext, database: str) -> str:
    """As the guide's look at `pg_stat_activity`: who holds how many, then the longest of them."""
    found = await ctx.databases.activity(database)
    held = Counter((each.application or "(unnamed)", each.state) for each in found)
    lines = [f"{count} {state} of {name}" for (name, state), count in held.most_common()]
    lines += [_session_line(each) for each in found[:SESSIONS]]
    return "\n".join(lines) or "no client is connected"


def _session_line(one: Session) -> str:
    since = "" if one.seconds is None else f" for {one.seconds:.0f} s"
    wait = f", waits for {one.wait}" if one.wait else ""
    who = f"pid {one.pid}  {one.user}@{one.client or 'socket'}  {one.application}"
    return f"{who}  {one.state}{since}{wait}  {_without_data(one.query)}"


def _without_data(query: str) -> str:
    """Blank a statement's texts: they are somebody's data, and a password may be among them."""
    return re.sub(r"'[^']*('|$)", "'…'", " ".join(query.split()))


def _shown(labels: Iterable[tuple[str, str]]) -> str:
    kept = {name: value for name, value in labels if name in ("collector", "source", "database")}
    return selector(kept)


async def _pods_of_target(ctx: StepContext, target: Target) -> None:
    """Attach the target's pods, then the logs of some of them."""
    try:
        workload = await _workload(ctx, target)
        pods = await ctx.kube.pods(target.namespace, workload.selector) if workload else ()
    except RunbookdError as error:
        ctx.attach("target pods", f"could not be had: {error}")
        return
    pods = sorted(pods, key=lambda pod: (_is_healthy(pod), pod.name))
    ctx.attach("target pods", _bounded("\n".join(map(_pod_line, pods)) or "it has no pods"))
    await asyncio.gather(*(_attach(ctx, name, log) for name, log in _logs(ctx, pods[:LOG_PODS])))


def _logs(ctx: StepContext, pods: Sequence[Pod]) -> Iterable[tuple[str, Awaitable[str]]]:
    for pod in pods:
        for container in pod.containers:
            name = f"{pod.name} {container.name}"
            for previous in (False, True):
                log = ctx.kube.logs(
                    pod.namespace, pod.name, container.name, previous=previous, tail=LOG_LINES
                )
                yield f"{'previous log' if previous else 'log'} of {name}", log


SPEC = ActionSpec(
    name="collect_evidence",
    help="Attach the guide's assessment and all about the target: events, logs, history, KPIs.",
    params=Params,
    action=CollectEvidence(),
    role=Role.EVIDENCE,
    permissions=(
        "apps/deployments:get",
        "apps/statefulsets:get",
        "apps/daemonsets:get",
        "apps/replicasets:list",
        "core/pods:list",
        "core/pods/log:get",
        "core/events:list",
        "core/nodes:get,list",
    ),
)
