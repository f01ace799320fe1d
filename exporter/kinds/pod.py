"""Pods and their containers; the restarts of each workload over a day, and its unready pods."""

from collections.abc import Iterator
from datetime import timedelta

from exporter.contract import Metric, Publisher, Reading, Sample
from exporter.kinds.words import CONTAINER, POD, bounded, gauge
from exporter.ports import ContainerView, WatchedPod
from exporter.shared.clock import Clock
from exporter.watch.restarts import RestartLog, Subject
from exporter.watch.unready import UnreadyPods

INFO = gauge(
    "kpi_pod_info",
    "Where the pod runs and which workload it belongs to.",
    (*POD, "node"),
)
PHASE = gauge(
    "kpi_pod_phase",
    "1 for the phase that the pod is in; other phases have no series.",
    ("namespace", "pod", "phase"),
)
REASON = gauge(
    "kpi_pod_reason",
    "1 for the reason why the pod as a whole does not run; none if there is none.",
    (*POD, "reason"),
)
READY = gauge("kpi_pod_ready", "1 if the pod is Ready and not being deleted.", POD)
CREATED = gauge("kpi_pod_created_timestamp_seconds", "When the pod was created.", POD)
CPU_REQUESTS = gauge(
    "kpi_pod_cpu_requests_cores",
    "Cores that the pod's containers ask for together; none if one asks for nothing.",
    POD,
)
MEMORY_REQUESTS = gauge(
    "kpi_pod_memory_requests_bytes",
    "Memory that the pod's containers ask for together; none if one asks for nothing.",
    POD,
)
CPU_LIMITS = gauge(
    "kpi_pod_cpu_limits_cores",
    "Cores that the pod's containers may use together; none if one may use all.",
    POD,
)
MEMORY_LIMITS = gauge(
    "kpi_pod_memory_limits_bytes",
    "Memory that the pod's containers may use together; none if one may use all.",
    POD,
)
RESTARTS = Metric(
    "kpi_pod_container_restarts_total",
    "Restarts of the container in the life of its pod.",
    "counter",
    CONTAINER,
)
WAITING = gauge(
    "kpi_pod_container_waiting_reason",
    "1 for the reason why the container waits; none if it does not wait.",
    (*CONTAINER, "reason"),
)
TERMINATED = gauge(
    "kpi_pod_container_terminated_reason",
    "1 for the reason why the container has ended; none if it runs, waits or has completed.",
    (*CONTAINER, "reason"),
)
LAST_TERMINATED = gauge(
    "kpi_pod_container_last_terminated_reason",
    "1 for the reason why the container's last incarnation ended; none before its first end.",
    (*CONTAINER, "reason"),
)

METRICS = (
    *(INFO, PHASE, REASON, READY, CREATED),
    *(CPU_REQUESTS, MEMORY_REQUESTS, CPU_LIMITS, MEMORY_LIMITS),
    *(RESTARTS, WAITING, TERMINATED, LAST_TERMINATED),
)
KPIS = ("restarts_per_day", "unready_pods")

LOOK = timedelta(minutes=1)
"""How often restarts are looked at for their age."""
COMPLETED = "Completed"
REASONS = frozenset(
    {
        "Evicted",
        "NodeAffinity",
        "NodeLost",
        "OutOfcpu",
        "OutOfmemory",
        "OutOfpods",
        "Preempting",
        "SchedulingGated",
        "Shutdown",
        "Terminated",
        "UnexpectedAdmissionError",
        "Unschedulable",
    }
)
"""The kubelet's and the node controller's own, and the scheduler's two."""
WAITING_REASONS = frozenset(
    {
        "ContainerCreating",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "PodInitializing",
        "RunContainerError",
    }
)
"""The kubelet's own; what a container runtime words freely becomes `Other`."""
TERMINATED_REASONS = frozenset(
    {
        COMPLETED,
        "ContainerCannotRun",
        "ContainerStatusUnknown",
        "DeadlineExceeded",
        "Error",
        "Evicted",
        "OOMKilled",
        "StartError",
    }
)


def samples(pod: WatchedPod) -> Iterator[Sample]:
    """Describe a pod and its containers."""
    named = (pod.namespace, pod.name)
    workload = (pod.workload, pod.workload_type)
    whole = (*named, *workload)
    yield Sample(INFO, (*whole, pod.node), 1.0)
    yield Sample(PHASE, (*named, pod.phase), 1.0)
    if pod.reason:
        yield Sample(REASON, (*whole, bounded(pod.reason, REASONS)), 1.0)
    yield Sample(READY, whole, float(pod.ready))
    if pod.created is not None:
        yield Sample(CREATED, whole, pod.created.timestamp())
    for metric, value in (
        (CPU_REQUESTS, pod.requests.cpu),
        (MEMORY_REQUESTS, pod.requests.memory),
        (CPU_LIMITS, pod.limits.cpu),
        (MEMORY_LIMITS, pod.limits.memory),
    ):
        if value is not None:
            yield Sample(metric, whole, value)
    labels = [(*named, container.name, *workload) for container in pod.containers]
    for container, one in zip(pod.containers, labels, strict=True):
        yield Sample(RESTARTS, one, float(container.restarts))
    for container, one in zip(pod.containers, labels, strict=True):
        yield from _trouble(container, one)


def _trouble(container: ContainerView, labels: tuple[str, ...]) -> Iterator[Sample]:
    if container.waiting_reason is not None:
        reason = bounded(container.waiting_reason, WAITING_REASONS)
        yield Sample(WAITING, (*labels, reason), 1.0)
    if container.ended_reason is not None and container.ended_reason != COMPLETED:
        reason = bounded(container.ended_reason, TERMINATED_REASONS)
        yield Sample(TERMINATED, (*labels, reason), 1.0)
    if container.last_reason is not None:
        reason = bounded(container.last_reason, TERMINATED_REASONS)
        yield Sample(LAST_TERMINATED, (*labels, reason), 1.0)


class PodPublisher:
    """Publishes each pod by its uid, and of each workload its restarts per day and unready pods."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._log = RestartLog()
        self._unready = UnreadyPods()
        self._published: dict[Subject, tuple[int, int]] = {}
        """Values of KPIS."""
        self._looked = clock.now()
        self.sweep = publisher.sweep
        self.failed = publisher.failed

    def on_object(self, obj: WatchedPod) -> None:
        """Publish a pod."""
        self._publisher.put(obj.uid, samples(obj))
        subject = self._log.observe(obj, self._clock.now())
        before = self._unready.observe(obj, subject)
        if before is not None and before != subject:
            self._publish(before)  # it was taken for that one's until its ReplicaSet came
        if subject is not None:
            self._publish(subject)

    def on_delete(self, uid: str) -> None:
        """Drop a pod, and its workload's values with the last of its pods."""
        self._publisher.delete(uid)
        counted = self._unready.forget(uid)
        gone = self._log.forget(uid)
        if gone is not None:
            self._published.pop(gone, None)
            self._publisher.delete(_key(gone))
        elif counted is not None:
            self._publish(counted)

    def begin(self) -> None:
        """Everything is put anew."""
        self._published.clear()
        self._publisher.begin()

    def alive(self) -> None:
        """Let go of restarts that are older than a day, once a minute."""
        now = self._clock.now()
        if now - self._looked >= LOOK:
            self._looked = now
            for subject, (restarts, _) in self._published.items():
                if restarts:
                    self._publish(subject)
        self._publisher.alive()

    def _publish(self, subject: Subject) -> None:
        values = self._log.per_day(subject, self._clock.now()), self._unready.count(subject)
        if self._published.get(subject) != values:
            self._published[subject] = values
            readings = [
                Reading(kpi, subject, float(value)) for kpi, value in zip(KPIS, values, strict=True)
            ]
            self._publisher.put(_key(subject), (), readings)


def _key(subject: Subject) -> str:
    return "workload/" + "/".join(value for _, value in subject)
