"""Events: warnings and what the cluster autoscaler did, as counters; and the last ten of all.

The last ten are shown beside the metrics (`/debug/events`) and not in them: their text is without
bound, and every event would be a series that never comes back.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from exporter.contract import Metric, Publisher, Sample
from exporter.kinds.words import OTHER, bounded
from exporter.shared.clock import Clock
from exporter.watch.objects import NO_META, Meta, View

WARNINGS = Metric(
    "kpi_warning_events_total",
    "Warning events since the exporter started, by what they are about; 0 for half a minute first.",
    "counter",
    ("namespace", "kind", "reason"),
)
AUTOSCALER = Metric(
    "kpi_autoscaler_events_total",
    "Events of the cluster autoscaler since the exporter started; 0 from the start.",
    "counter",
    ("reason",),
)
METRICS = (WARNINGS, AUTOSCALER)

AUTOSCALER_REASONS = (
    "TriggeredScaleUp",
    "ScaledUpGroup",
    "ScaleDown",
    "ScaleDownEmpty",
    "NotTriggerScaleUp",
    "FailedToScaleUpGroup",
    "ScaleDownFailed",
)
KINDS = frozenset(
    {
        *("ConfigMap", "CronJob", "DaemonSet", "Deployment", "Endpoints", "EndpointSlice"),
        *("HorizontalPodAutoscaler", "Ingress", "Job", "Namespace", "Node"),
        *("PersistentVolume", "PersistentVolumeClaim", "Pod", "PodDisruptionBudget"),
        *("ReplicaSet", "Secret", "Service", "StatefulSet"),
    }
)
REASONS = frozenset(
    {
        # the kubelet
        *("BackOff", "ContainerGCFailed", "DNSConfigForming", "ErrImageNeverPull"),
        *("EvictionThresholdMet", "Evicted", "ExceededGracePeriod", "Failed"),
        *("FailedAttachVolume", "FailedCreatePodContainer", "FailedCreatePodSandBox"),
        *("FailedKillPod", "FailedMapVolume", "FailedMount", "FailedPostStartHook"),
        *("FailedPreStopHook", "FailedSync", "FileSystemResizeFailed", "FreeDiskSpaceFailed"),
        *("HostPortConflict", "ImageGCFailed", "InspectFailed", "InvalidDiskCapacity"),
        *(
            "InvalidEnvironmentVariableNames",
            "KubeletSetupFailed",
            "MissingClusterDNS",
            "NetworkNotReady",
        ),
        *("NodeNotReady", "NodeRebooted", "NodeShutdown", "OOMKilling", "ProbeWarning"),
        *("Rebooted", "SystemOOM", "Unhealthy", "VolumeResizeFailed"),
        # the scheduler and the controllers
        *("BackoffLimitExceeded", "CalculateExpectedPodCountFailed", "ClaimLost"),
        *("ClaimMisbound", "DeadlineExceeded", "FailedBinding", "FailedCreate"),
        *("FailedComputeMetricsReplicas", "FailedDaemonPod", "FailedDelete"),
        *("FailedGetContainerResourceMetric", "FailedGetExternalMetric"),
        *("FailedGetObjectMetric", "FailedGetPodsMetric", "FailedGetResourceMetric"),
        *("FailedGetScale", "FailedNeedsStart", "FailedRescale", "FailedScheduling"),
        *("FailedToUpdateEndpoint", "FailedToUpdateEndpointSlices", "FailedUpdate"),
        *("FailedUpdateScale", "InvalidSelector", "InvalidSchedule", "MissSchedule"),
        *("NoPods", "PodFailurePolicy", "ProvisioningFailed", "ReplicaSetCreateError"),
        *("SyncLoadBalancerFailed", "TooManyMissedTimes", "UnexpectedJob"),
        *("UpdateLoadBalancerFailed", "VolumeFailedDelete", "VolumeFailedRecycle"),
        *AUTOSCALER_REASONS,
    }
)
"""What Kubernetes itself warns of; the words of others become `Other`."""

MOST_COUNTERS = 2000
"""Label sets of warnings: about 40 namespaces in trouble of every kind; then namespaces are named
no more."""
FIRST_AS_ZERO = timedelta(seconds=30)
"""How long a new counter says 0: `increase` sees only what comes after a series' first scrape, and
the rules want one every 15 s."""
LAST = 10
"""As many as the operations guide looks at every morning."""
LONGEST_MESSAGE = 300
"""Characters: what a terminal shows in three lines."""


class EventSeries(View, frozen=True):
    """How often an event of events.k8s.io was repeated."""

    count: int = 0
    last_observed_time: datetime | None = None


class InvolvedObject(View, frozen=True):
    """What an event is about."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


class Event(View, frozen=True):
    """v1 Event."""

    metadata: Meta = NO_META
    involved_object: InvolvedObject = InvolvedObject()
    type: str | None = None
    reason: str | None = None
    message: str | None = None
    count: int | None = None
    series: EventSeries | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None

    @property
    def times(self) -> int:
        """How often it happened."""
        return max(1, self.count or 0, self.series.count if self.series else 0)

    @property
    def at(self) -> datetime | None:
        """When it last happened."""
        series = self.series.last_observed_time if self.series else None
        known = (series, self.last_timestamp, self.event_time, self.first_timestamp)
        found = [one for one in known if one is not None]
        return max(found) if found else self.metadata.creation_timestamp


Counter = tuple[Metric, tuple[str, ...]]
"""Metric and label values."""


class EventCounts:
    """Counts what happens from the first listing on; it outlives every restart of the watch.

    An event object is told again and again: with a higher count, in a relist, after a reconnect.
    What counts is by how much its own count has grown since it was last told.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.counters: dict[Counter, int] = {
            (AUTOSCALER, (reason,)): 0 for reason in AUTOSCALER_REASONS
        }
        """The autoscaler's are there from the start, so that the first event of a kind is an
        increase. There are too many warnings for that: see FIRST_AS_ZERO."""
        self._born: dict[Counter, float] = {}
        """Monotonic time since when those that still say 0 do so."""
        self._told: dict[str, int] = {}
        self._unseen: set[str] = set()
        self._started = False

    def observe(self, event: Event) -> Iterator[Sample]:
        """Take an event; yields the counters that it moves."""
        reason = event.reason or ""
        moves = [AUTOSCALER] if reason in AUTOSCALER_REASONS else []
        if event.type == "Warning":
            moves.append(WARNINGS)
        if not moves:
            return
        uid = event.metadata.uid
        self._unseen.discard(uid)
        news = event.times - self._told.get(uid, 0)
        if news <= 0:
            return
        self._told[uid] = event.times
        if not self._started:
            return  # it happened before anybody looked
        for metric in moves:
            counter = (metric, (reason,) if metric is AUTOSCALER else self._labels(event))
            if counter not in self.counters:
                self._born[counter] = self._clock.monotonic()
            self.counters[counter] = self.counters.get(counter, 0) + news
            yield self._sample(counter)

    def forget(self, uid: str) -> None:
        """Note that an event object is gone; what it counted stays counted."""
        self._told.pop(uid, None)
        self._unseen.discard(uid)

    def begin(self) -> None:
        """A listing starts."""
        self._unseen = set(self._told)

    def sweep(self) -> None:
        """The listing is complete: forget what it did not hold, and count from now on."""
        for uid in self._unseen:
            del self._told[uid]
        self._unseen = set()
        self._started = True

    def samples(self) -> Iterator[Sample]:
        """Return every counter."""
        return map(self._sample, self.counters)

    def grown(self) -> Iterator[Sample]:
        """Return the counters that have said 0 for long enough, each once."""
        due = self._clock.monotonic() - FIRST_AS_ZERO.total_seconds()
        for counter in [one for one, born in self._born.items() if born <= due]:
            del self._born[counter]
            yield self._sample(counter)

    def _sample(self, counter: Counter) -> Sample:
        count = 0 if counter in self._born else self.counters[counter]
        return Sample(*counter, float(count))

    def _labels(self, event: Event) -> tuple[str, str, str]:
        about = event.involved_object
        kind, reason = bounded(about.kind, KINDS), bounded(event.reason or "", REASONS)
        labels = (about.namespace, kind, reason)
        if (WARNINGS, labels) in self.counters or len(self.counters) < MOST_COUNTERS:
            return labels
        return (OTHER, kind, reason)


class Recent(NamedTuple):
    """One of the last events."""

    at: datetime
    uid: str
    row: Mapping[str, object]


class RecentEvents:
    """The last ten events by their time, as `kubectl get events` sorts them.

    They stay when the API server lets go of them (after an hour): the last word is the last word.
    """

    def __init__(self) -> None:
        self._kept: list[Recent] = []

    def observe(self, event: Event) -> bool:
        """Take an event; returns True when it is among the last ten and was not so before."""
        at, uid = event.at, event.metadata.uid
        if at is None:
            return False
        one = Recent(at, uid, _row(event, at))
        if one in self._kept:
            return False
        kept = sorted([one, *(old for old in self._kept if old.uid != uid)], reverse=True)[:LAST]
        changed = one in kept
        self._kept = kept
        return changed

    def rows(self) -> list[Mapping[str, object]]:
        """Return them, newest first."""
        return [one.row for one in self._kept]


def _row(event: Event, at: datetime) -> Mapping[str, object]:
    about, message = event.involved_object, " ".join((event.message or "").split())
    short = message[: LONGEST_MESSAGE - 1] + "…" if len(message) > LONGEST_MESSAGE else message
    return {
        "at": at.isoformat(),
        "severity": event.type or "",
        "namespace": about.namespace or event.metadata.namespace,
        "object": f"{about.kind}/{about.name}",
        "reason": event.reason or "",
        "message": short,
        "count": event.times,
    }


class EventPublisher:
    """Publishes each counter under a key of its own, and shows the last events."""

    def __init__(self, publisher: Publisher, counts: EventCounts, recent: RecentEvents) -> None:
        """`counts` and `recent` outlive the publisher's stream."""
        self._publisher = publisher
        self._counts = counts
        self._recent = recent
        self._news = False
        self.failed = publisher.failed

    def on_object(self, obj: Event) -> None:
        """Take an event."""
        for sample in self._counts.observe(obj):
            self._put(sample)
        self._news |= self._recent.observe(obj)

    def on_delete(self, uid: str) -> None:
        """Forget an event object."""
        self._counts.forget(uid)

    def begin(self) -> None:
        """A listing starts."""
        self._counts.begin()
        self._publisher.begin()

    def sweep(self) -> None:
        """Publish every counter; none ever goes away or shrinks."""
        self._counts.sweep()
        for sample in self._counts.samples():
            self._put(sample)
        self._news = True  # what was shown before may have been dropped as too old
        self._publisher.sweep()

    def alive(self) -> None:
        """Show the last events if they have changed, and what new counters have come to."""
        for sample in self._counts.grown():
            self._put(sample)
        if self._news:
            self._news = False
            self._publisher.show("events", self._recent.rows())
        self._publisher.alive()

    def _put(self, sample: Sample) -> None:
        self._publisher.put("/".join((sample.metric.name, *sample.labels)), (sample,))
