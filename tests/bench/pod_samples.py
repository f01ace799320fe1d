"""Pods as an exporter tells of them: 13 families, 19 samples a pod of two containers."""

import random
from collections.abc import Iterator, Sequence

from exporter.contract import Metric, Sample

POD = ("namespace", "pod", "workload", "workload_type")
CONTAINER = (*POD, "container")

READY = Metric("bench_pod_ready", "1 if the pod is ready.", labels=POD)
RESTARTS = Metric("bench_container_restarts_total", "Restarts.", "counter", CONTAINER)
RUNNING = Metric("bench_container_running", "1 if the container runs.", labels=CONTAINER)
INFO = Metric("bench_pod_info", "Where it runs.", labels=(*POD, "node"))
PHASE = Metric("bench_pod_phase", "1 for its phase.", labels=(*POD, "phase"))
ONES = tuple(
    Metric(f"bench_pod_{name}", f"Something about {name}.", labels=POD)
    for name in ("created_timestamp_seconds", "started_timestamp_seconds", "scheduled", "owned")
)
PER_CONTAINER = tuple(
    Metric(f"bench_container_{name}", f"Something about {name}.", labels=CONTAINER)
    for name in ("ready", "cpu_request_cores", "memory_request_bytes", "memory_limit_bytes")
)
METRICS = (READY, RESTARTS, RUNNING, INFO, PHASE, *ONES, *PER_CONTAINER)

SAMPLES = 19


def labels_of(number: int) -> tuple[str, str, str, str]:
    """Return the labels of a pod, its name as random as a ReplicaSet's pods'."""
    dice = random.Random(number)  # noqa: S311 - names, not secrets
    workload = f"service-{number % 400}"
    letters = "".join(dice.choices("bcdfghjklmnpqrstvwxz2456789", k=15))
    return (
        f"team-{number % 40}",
        f"{workload}-{letters[:10]}-{letters[10:]}",
        workload,
        "deployment",
    )


def samples_of(labels: Sequence[str], version: int = 0) -> Iterator[Sample]:
    """Describe a pod; with the version change its readiness, restarts and what runs: 3 families."""
    pod = tuple(labels)
    yield Sample(READY, pod, float(version % 2 == 0))
    yield Sample(INFO, (*pod, f"node-{hash(pod) % 200}"), 1.0)
    yield Sample(PHASE, (*pod, "Running"), 1.0)
    for metric in ONES:
        yield Sample(metric, pod, 1_790_000_000.0)
    for name in ("app", "istio-proxy"):
        container = (*pod, name)
        yield Sample(RESTARTS, container, float(version))
        yield Sample(RUNNING, container, float(version % 2 == 0))
        for metric in PER_CONTAINER:
            yield Sample(metric, container, 134_217_728.0)
