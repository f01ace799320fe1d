"""What is known of each source: whether it works, since when, and what it cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exporter.contract import Metric, PolledSource, Sample, Source
from exporter.exposition.fragments import Fragments
from exporter.shared.errors import GoneError, PermanentError, TransientError

EXPIRES_AFTER = 3
"""Intervals: one miss is weather, two is bad luck, three is an outage; then what the source
published is dropped, for an old value looks like a present one."""

LABELS = ("collector", "source")

UP = Metric("kpi_source_up", "1 when the source's last pass worked.", "gauge", LABELS)
LAST_SUCCESS = Metric(
    "kpi_source_last_success_timestamp_seconds",
    "When the source was last known to be up to date.",
    "gauge",
    LABELS,
)
DURATION = Metric(
    "kpi_source_duration_seconds", "Time that the last pass of the source took.", "gauge", LABELS
)
ATTEMPTS = Metric(
    "kpi_source_attempts_total", "Passes of the source, or starts of its stream.", "counter", LABELS
)
FAILURES = Metric(
    "kpi_source_failures_total", "Failures of the source.", "counter", (*LABELS, "reason")
)
SERIES = Metric("kpi_source_series", "Series that the source publishes.", "gauge", LABELS)
DROPPED = Metric(
    "kpi_source_series_dropped_total",
    "Series of the source left out because max_series was reached, counted in each pass.",
    "counter",
    LABELS,
)
DUPLICATES = Metric(
    "kpi_source_series_duplicate_total",
    "Series of the source left out because another source publishes them, counted in each pass.",
    "counter",
    LABELS,
)
INTERVAL = Metric(
    "kpi_source_interval_seconds",
    "Time between two passes of the source, or between two signs of life of its stream.",
    "gauge",
    LABELS,
)

FAMILIES = (
    *(UP, LAST_SUCCESS, DURATION, ATTEMPTS, FAILURES),
    *(SERIES, DROPPED, DUPLICATES, INTERVAL),
)

REASONS = ("deadline", "transient", "permanent", "bug")
"""Reasons that are published as 0 from the start, so that the first failure is an increase."""


SLOW = timedelta(minutes=1)
"""A source that is asked less often gives no rates that a person would wait for, and its passes may
take minutes or cost money."""


def is_slow(source: Source) -> bool:
    """Say whether one pass of `source` is all that somebody who waits should ask for."""
    return isinstance(source, PolledSource) and source.interval > SLOW


def reason_of(error: BaseException) -> str:
    """Return why a pass failed, in one word for a label."""
    match error:
        case BaseExceptionGroup():
            return reason_of(error.exceptions[0])
        case TimeoutError():
            return "deadline"
        case TransientError():
            return "transient"
        case PermanentError():
            return "permanent"
        case GoneError():
            return "gone"
        case _:
            return "bug"


def told(error: BaseException) -> str:
    """Return an error's text for people; a bug's may hold anything, so only its class is told."""
    if isinstance(error, BaseExceptionGroup):
        return told(error.exceptions[0])
    if isinstance(error, TransientError | PermanentError | GoneError):
        return str(error)
    return type(error).__name__


@dataclass(slots=True, eq=False)
class SourceState:
    """One source, its fragments and its record."""

    collector: str
    source: Source
    fragments: Fragments
    since: float
    """Monotonic time of the last success, before the first one of the start."""
    made_of: object = None
    metrics: tuple[Metric, ...] = ()
    """What it may publish, beside its readings."""
    up: bool = False
    attempts: int = 0
    ended: int = 0
    """Passes that have ended, well or not; of a stream: signs of life and failures."""
    last_success: datetime | None = None
    last_error: str = ""
    duration: float | None = None
    failures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    in_a_row: int = 0
    """Failures since the last success."""
    shown: dict[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    """Topic → rows of text for people."""
    streaming: bool = False
    """True while a stream runs: then it watches over its own age."""

    @property
    def name(self) -> str:
        """Return `collector/source`."""
        return f"{self.collector}/{self.source.name}"

    @property
    def interval(self) -> timedelta:
        """Return how often a success is due."""
        source = self.source
        if isinstance(source, PolledSource):
            return source.interval
        return source.stale_after / EXPIRES_AFTER

    @property
    def expires_after(self) -> timedelta:
        """Return the age at which what the source published is dropped."""
        source = self.source
        if isinstance(source, PolledSource):
            return EXPIRES_AFTER * max(source.interval, source.timeout)
        return source.stale_after

    def left(self, monotonic: float) -> timedelta:
        """Return how long what is published may still be shown; zero or less: no longer."""
        return self.expires_after - timedelta(seconds=monotonic - self.since)

    def succeeded(self, now: datetime, monotonic: float) -> bool:
        """Note a success; return True when the source was not up before."""
        changed, self.up = not self.up, True
        self.in_a_row, self.last_error = 0, ""
        self.ended += 1
        self.last_success, self.since = now, monotonic
        return changed

    def failed(self, reason: str, error: str) -> bool:
        """Note a failure; return True when the source was up before, or never was."""
        changed = self.up or not self.ended
        self.up = False
        self.ended += 1
        self.in_a_row += 1
        self.last_error = error
        self.failures[reason] = self.failures.get(reason, 0) + 1
        return changed

    def samples(self) -> Iterator[Sample]:
        """Return the series that tell of the source itself."""
        labels = (self.collector, self.source.name)
        yield Sample(UP, labels, float(self.up))
        if self.last_success is not None:
            yield Sample(LAST_SUCCESS, labels, self.last_success.timestamp())
        if self.duration is not None:
            yield Sample(DURATION, labels, self.duration)
        yield Sample(ATTEMPTS, labels, float(self.attempts))
        for reason, count in sorted(self.failures.items()):
            yield Sample(FAILURES, (*labels, reason), float(count))
        yield Sample(SERIES, labels, float(self.fragments.series))
        yield Sample(DROPPED, labels, float(self.fragments.dropped))
        yield Sample(DUPLICATES, labels, float(self.fragments.duplicates))
        yield Sample(INTERVAL, labels, self.interval.total_seconds())

    def record(self) -> dict[str, object]:
        """Return what /debug/collectors tells of the source."""
        return {
            "collector": self.collector,
            "source": self.source.name,
            "shape": "polled" if isinstance(self.source, PolledSource) else "streamed",
            "up": self.up,
            "last_success": self.last_success and self.last_success.isoformat(),
            "last_error": self.last_error,
            "duration_seconds": self.duration,
            "interval_seconds": self.interval.total_seconds(),
            "attempts": self.attempts,
            "failures": {reason: count for reason, count in self.failures.items() if count},
            "series": self.fragments.series,
            "series_dropped": self.fragments.dropped,
            "series_duplicate": self.fragments.duplicates,
        }
