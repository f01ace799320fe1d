"""Recorded objects of every watched kind, and how each becomes samples.

`python -m tests.kube_cases` writes the expected pages anew, for a person to read before they are
committed.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from exporter.contract import Metric, Sample
from exporter.kinds import (
    autoscaling,
    claim,
    disruption,
    event,
    job,
    node,
    pod,
    service,
    workload,
)
from exporter.watch.nodes import node_record
from exporter.watch.objects import (
    DaemonSet,
    Deployment,
    Node,
    Pod,
    ReplicaSet,
    StatefulSet,
)
from exporter.watch.pods import ReplicaSetRecord, pod_record, replica_set_record
from tests.fake_clients import FakeClock
from tests.published import exposition

DATA = Path(__file__).parent / "data" / "kubernetes"
T = TypeVar("T")


def recorded(kind: str) -> list[dict[str, object]]:
    """Return the recorded objects of a kind."""
    objects: list[dict[str, object]] = json.loads((DATA / f"{kind}.json").read_text())
    return objects


def decoded(kind: type[T], raw: object) -> T:
    """Return an object as the reflector hands it over."""
    return msgspec.json.decode(json.dumps(raw), type=kind)


@dataclass(frozen=True, slots=True)
class Case:
    """One kind: what it publishes, and how."""

    metrics: Sequence[Metric]
    samples: Callable[[object], Iterable[Sample]]
    """From the JSON object."""


def replica_sets() -> dict[str, ReplicaSetRecord]:
    """Return the recorded ReplicaSets by their uid."""
    found = [replica_set_record(decoded(ReplicaSet, raw)) for raw in recorded("replica_sets")]
    return {one.uid: one for one in found}


def _deployment(raw: object) -> Iterable[Sample]:
    deployment = decoded(Deployment, raw)
    uid = deployment.metadata.uid
    of_it = [one for one in replica_sets().values() if one.owner_uid == uid]
    return workload.deployment_samples(deployment, of_it)


def _replica_set(raw: object) -> Iterable[Sample]:
    """Tell of the first Deployment as this ReplicaSet, its only one, makes it."""
    deployment = decoded(Deployment, recorded("deployments")[0])
    return workload.deployment_samples(deployment, [replica_set_record(decoded(ReplicaSet, raw))])


def _endpoints(raw: object) -> Iterable[Sample]:
    return service.endpoint_samples({"": service.counted(decoded(service.EndpointSlice, raw))})


def _event(raw: object) -> Iterable[Sample]:
    clock = FakeClock()
    counts = event.EventCounts(clock)
    counts.begin()
    counts.sweep()
    moved = [sample.labels for sample in counts.observe(decoded(event.Event, raw))]
    clock.advance(event.FIRST_AS_ZERO.total_seconds())
    grown = [*counts.grown()]
    return [*(one for one in counts.samples() if one.labels in moved and one not in grown), *grown]


CASES: Mapping[str, Case] = {
    "nodes": Case(node.METRICS, lambda raw: node.samples(node_record(decoded(Node, raw)))),
    "pods": Case(
        pod.METRICS, lambda raw: pod.samples(pod_record(decoded(Pod, raw), replica_sets()))
    ),
    "deployments": Case(workload.METRICS, _deployment),
    "stateful_sets": Case(
        workload.METRICS, lambda raw: workload.stateful_set_samples(decoded(StatefulSet, raw))
    ),
    "daemon_sets": Case(
        workload.METRICS, lambda raw: workload.daemon_set_samples(decoded(DaemonSet, raw))
    ),
    "jobs": Case(job.JOB_METRICS, lambda raw: job.job_samples(decoded(job.Job, raw))),
    "cron_jobs": Case(
        job.CRON_JOB_METRICS, lambda raw: job.cron_job_samples(decoded(job.CronJob, raw))
    ),
    "autoscalers": Case(
        autoscaling.METRICS, lambda raw: autoscaling.samples(decoded(autoscaling.Autoscaler, raw))
    ),
    "disruption_budgets": Case(
        disruption.METRICS, lambda raw: disruption.samples(decoded(disruption.Budget, raw))
    ),
    "claims": Case(claim.METRICS, lambda raw: claim.samples(decoded(claim.Claim, raw))),
    "services": Case(
        service.LOAD_BALANCER_METRICS,
        lambda raw: service.load_balancer_samples(decoded(service.Service, raw)),
    ),
    "endpoint_slices": Case(service.ENDPOINT_METRICS, _endpoints),
    "events": Case(event.METRICS, _event),
}
"""By the name of the file that holds the recorded objects."""

BY_FIELD: Mapping[str, Case] = {**CASES, "replica_sets": Case(workload.METRICS, _replica_set)}
"""What a missing field is tried on, too."""


def page(kind: str) -> str:
    """Return the page that a kind's recorded objects make."""
    case = CASES[kind]
    return exposition(case.metrics, (one for raw in recorded(kind) for one in case.samples(raw)))


def main() -> None:
    """Write the pages."""
    for kind in CASES:
        (DATA / f"{kind}.prom").write_text(page(kind))


if __name__ == "__main__":
    main()
