"""What a collector is, and what it hands over.

A collector is a plug-in: one module of `exporter.collectors` with one constant SPEC. A *source* is
one configured instance of it (one database, one probe target, one application). Sources come in
two shapes: polled (the schedule calls `collect` at an interval) and streamed (the source runs as a
task of its own and publishes on change).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from exporter.ports import Clients
from exporter.shared.config import Section

SettingsT = TypeVar("SettingsT", bound=Section)


OTHER = "Other"
"""Stands for every word that a list does not hold, so that nobody's free text becomes series."""


def bounded(word: str, known: AbstractSet[str]) -> str:
    """Return `word` if it is known, else `Other`."""
    return word if word in known else OTHER


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family that a collector may publish; declared once, at module level."""

    name: str
    """Full name in base units; counters end in `_total`."""
    help: str
    kind: Literal["gauge", "counter", "histogram"] = "gauge"
    labels: tuple[str, ...] = ()


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One line of the exposition; a Struct, for many are made and most are dropped at once."""

    metric: Metric
    labels: tuple[str, ...]
    """Values, in the order of `metric.labels`."""
    value: float
    suffix: str = ""
    """`_bucket`, `_sum` or `_count` for histograms, else empty."""
    le: str = ""
    """Upper bound of a bucket as Prometheus writes it (`0.1`, `+Inf`), else empty."""


class Reading(NamedTuple):
    """The present value of a KPI for one subject; unknown values are left out, never zero."""

    kpi: str
    """Name in the KPI catalogue (`exporter.kpi`)."""
    subject: tuple[tuple[str, str], ...]
    """Label pairs naming the subject, e.g. (("namespace", "default"), ("workload", "web"), …)."""
    value: float


@dataclass(frozen=True, slots=True)
class Collected:
    """What one pass of a source brought. It replaces all that the source brought before."""

    samples: Sequence[Sample] = ()
    readings: Sequence[Reading] = ()


class Publisher(Protocol):
    """Where a streamed source puts what it knows, key by key (a key is an object's uid)."""

    def put(self, key: str, samples: Iterable[Sample], readings: Iterable[Reading] = ()) -> None:
        """Replace everything published under `key`."""
        ...

    def delete(self, key: str) -> None:
        """Drop everything published under `key`; unknown keys are fine."""
        ...

    def begin(self) -> None:
        """Start a relist: keys not put again until `sweep` are gone then, none before."""
        ...

    def sweep(self) -> None:
        """End a relist: drop every key that was not put since `begin`."""
        ...

    def show(self, topic: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Replace what /debug/`topic` shows of this source: text for people, which is no label.

        Rows are JSON objects, few and short.
        """
        ...

    def alive(self) -> None:
        """Say that the source is up to date now (an event or a bookmark arrived)."""
        ...

    def failed(self, reason: str) -> None:
        """Count a failure that the source itself recovers from; `reason` is one short word."""
        ...


@dataclass(frozen=True, slots=True)
class PolledSource:
    """Called every `interval`; a pass that takes longer than `timeout` is cancelled and counted."""

    name: str
    interval: timedelta
    timeout: timedelta
    collect: Callable[[], Awaitable[Collected]]
    made_of: object = None
    """What tells the source from another of its name: it runs on over a reload of the settings that
    leaves this equal. None stands for the collector's whole section."""
    close: Callable[[], Awaitable[None]] | None = None
    """Lets go of connections when new settings end the source; safe while another one uses them."""


@dataclass(frozen=True, slots=True)
class StreamedSource:
    """Runs for the life of the process; when `run` raises, it is started again with back-off."""

    name: str
    stale_after: timedelta
    """Without a sign of life for this long, what the source published is dropped."""
    run: Callable[[Publisher], Awaitable[None]]
    made_of: object = None
    """As PolledSource's."""


Source = PolledSource | StreamedSource


class Reply(NamedTuple):
    """What is answered to somebody who asks for something to be done now."""

    status: int
    """HTTP status."""
    text: str
    """A page of metrics with 200, else what is wrong, in words."""


OnDemand = Callable[[Mapping[str, str], timedelta | None], Awaitable[Reply]]
"""Takes the query of /probe and the time that the scrape has, where the caller is one."""


def _no_families(_settings: object) -> tuple[Metric, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class CollectorSpec(Generic[SettingsT]):
    """The one constant of a collector module."""

    name: str
    """The module's own name."""
    help: str
    settings: type[SettingsT]
    """Model of `collectors.<name>` in the settings; its defaults must be valid."""
    metrics: tuple[Metric, ...]
    sources: Callable[[SettingsT, Clients], Sequence[Source]]
    """One source per configured instance; called once at start, must not connect yet."""
    kpis: tuple[str, ...] = field(default=())
    """KPIs that the collector gives readings of."""
    reads_kubernetes: bool | Callable[[SettingsT], bool] = False
    """True when it asks the API server: that client library is loaded before any first pass, which
    its loading would slow down."""
    permissions: tuple[str, ...] = ()
    """What it asks of the API server, as `exporter.shared.rbac` writes it; reading alone."""
    on_demand: Callable[[SettingsT, Clients], OnDemand] | None = None
    """What answers /probe; at most one collector has it."""
    families: Callable[[SettingsT], tuple[Metric, ...]] = _no_families
    """Metrics that the settings name, beside `metrics`; each begins with `kpi_` and a word that no
    other collector's begin with."""

    def published(self, settings: SettingsT) -> tuple[Metric, ...]:
        """Return every family that the collector may publish under these settings."""
        return (*self.metrics, *self.families(settings))

    def will_read_kubernetes(self, settings: SettingsT) -> bool:
        """Say whether it asks the API server when set up like this."""
        reads = self.reads_kubernetes
        return reads(settings) if callable(reads) else reads
