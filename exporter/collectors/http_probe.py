"""Asks the applications' health addresses from outside, as a user would."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal, NamedTuple

from pydantic import Field, field_validator

from exporter.contract import Collected, CollectorSpec, Metric, PolledSource, Reading, Sample
from exporter.ports import Clients, HttpAnswer
from exporter.shared.clock import Clock
from exporter.shared.config import Duration, Section
from exporter.shared.errors import RunbookdError

WORKLOAD = ("namespace", "workload", "workload_type")
LABELS = (*WORKLOAD, "probe")

SUCCESS = Metric(
    "kpi_probe_success", "1 when the last probe got the status it expects.", "gauge", LABELS
)
DURATION = Metric(
    "kpi_probe_duration_seconds", "Time the last probe took, answered or not.", "gauge", LABELS
)
CONNECT = Metric(
    "kpi_probe_connect_seconds",
    "Time the last probe took to connect, without the name's resolution; with TLS its handshake.",
    "gauge",
    LABELS,
)
STATUS = Metric("kpi_probe_status_code", "HTTP status of the last probe's answer.", "gauge", LABELS)
ATTEMPTS = Metric(
    "kpi_probe_attempts_total", "Probes that were made, suspect ones left out.", "counter", LABELS
)
FAILURES = Metric("kpi_probe_failures_total", "Probes that failed.", "counter", LABELS)
SUSPECT = Metric(
    "kpi_probe_suspect_total",
    "Probes that timed out while the exporter itself was held up; they say nothing of the target.",
    "counter",
    LABELS,
)

TICK = timedelta(milliseconds=50)
"""How often a probe in flight looks whether the loop still turns."""

MAX_BYTES = 1024 * 1024
"""Longest answer that is read; a longer one fails the probe."""


class Target(Section):
    """One address that is asked."""

    name: str
    """Name of the source, and value of the label `probe`."""
    url: str = Field(pattern="^https?://[^/]")
    """What is asked by GET, on a new connection each time; redirects are not followed."""
    namespace: str = "default"
    """Namespace of the workload that is behind the address."""
    workload: str
    """Workload that is behind the address."""
    workload_type: Literal["deployment", "statefulset", "daemonset"] = "deployment"
    """Kind of the workload."""
    status: str = "2.."
    """Regular expression; an answer whose status matches it whole is a success."""
    interval: Duration = timedelta(seconds=10)
    """Time between two probes."""
    timeout: Duration = timedelta(seconds=5)
    """Time that the target has to answer."""

    @field_validator("status")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        return value


class Settings(Section):
    """What is probed."""

    targets: tuple[Target, ...] = ()
    """The addresses that are asked."""
    window: Duration = timedelta(minutes=5)
    """Time that the KPIs of the morning check look back."""


class Outcome(NamedTuple):
    """One probe that counts."""

    at: float
    good: bool
    connect_seconds: float | None


class History:
    """The probes of one workload in the last `window`, of all its targets together."""

    def __init__(self, window: timedelta) -> None:
        self._window = window.total_seconds()
        self._outcomes: deque[Outcome] = deque()

    def push(self, outcome: Outcome) -> None:
        """Take in an outcome, newer than those before, and forget what is too old."""
        self._outcomes.append(outcome)
        while self._outcomes[0].at <= outcome.at - self._window:
            self._outcomes.popleft()

    def kpis(self, workload: tuple[str, str, str]) -> list[Reading]:
        """Return the KPIs of `workload`; those that are unknown are left out."""
        subject = tuple(zip(WORKLOAD, workload, strict=True))
        found = []
        if self._outcomes:
            good = sum(outcome.good for outcome in self._outcomes)
            found.append(Reading("availability", subject, good / len(self._outcomes)))
        connects = [o.connect_seconds for o in self._outcomes if o.connect_seconds is not None]
        if connects:
            found.append(Reading("network_latency", subject, sum(connects) / len(connects)))
        return found


class Lag:
    """The longest time that the loop was away."""

    def __init__(self) -> None:
        self.longest = timedelta(0)

    async def watch(self, clock: Clock) -> None:
        """Measure until cancelled."""
        while True:
            before = clock.monotonic()
            await clock.sleep(TICK)
            away = timedelta(seconds=clock.monotonic() - before) - TICK
            self.longest = max(self.longest, away)


@asynccontextmanager
async def measured_lag(clock: Clock) -> AsyncIterator[Lag]:
    """Measure how long the loop is away while the body runs."""
    lag = Lag()
    watch = asyncio.create_task(lag.watch(clock))
    try:
        yield lag
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


class Probe:
    """One target and how it did."""

    def __init__(self, target: Target, history: History, clients: Clients, *, speaks: bool) -> None:
        self._target = target
        self._history = history
        self._clients = clients
        self._speaks = speaks
        self._workload = (target.namespace, target.workload, target.workload_type)
        self._attempts = 0
        self._failures = 0
        self._suspect = 0

    async def collect(self) -> Collected:
        """Ask once. A target that does not answer is a sample of 0, not an error."""
        clock, target = self._clients.clock, self._target
        answer: HttpAnswer | None = None
        began = clock.monotonic()
        async with measured_lag(clock) as lag:
            try:
                answer = await self._clients.http.get(
                    target.url, deadline=target.timeout, max_bytes=MAX_BYTES, fresh=True
                )
            except RunbookdError:
                # Why is not lost: success 0 without a status says that no answer came.
                answer = None
            took = clock.monotonic() - began
            await clock.sleep(timedelta(0))  # lets the measure see the lag that ends here
        if is_suspect(answer, took, lag.longest, target.timeout):
            self._suspect += 1
            return self._collected([])
        return self._collected(self._count(answer, took, lag.longest))

    def _count(self, answer: HttpAnswer | None, took: float, lag: timedelta) -> list[Sample]:
        """Count a probe and return what it says of the present."""
        labels = (*self._workload, self._target.name)
        good = answer is not None and bool(re.fullmatch(self._target.status, str(answer.status)))
        self._attempts += 1
        self._failures += not good
        connect = answer.connect_seconds if answer else None
        if connect is not None and lag.total_seconds() > connect / 2:
            connect = None  # it was the exporter that was slow, as at its start
        self._history.push(Outcome(self._clients.clock.monotonic(), good, connect))
        samples = [Sample(SUCCESS, labels, float(good)), Sample(DURATION, labels, took)]
        if answer is not None:
            samples.append(Sample(STATUS, labels, answer.status))
        if connect is not None:
            samples.append(Sample(CONNECT, labels, connect))
        return samples

    def _collected(self, present: list[Sample]) -> Collected:
        """Return what is known `present`-ly together with the counters and the KPIs."""
        labels = (*self._workload, self._target.name)
        return Collected(
            [
                *present,
                Sample(ATTEMPTS, labels, self._attempts),
                Sample(FAILURES, labels, self._failures),
                Sample(SUSPECT, labels, self._suspect),
            ],
            self._history.kpis(self._workload) if self._speaks else (),
        )


def is_suspect(answer: HttpAnswer | None, took: float, lag: timedelta, timeout: timedelta) -> bool:
    """Say whether a failure is the exporter's own.

    It is when the target ran out of time, and the loop was away for half of the time it had.
    """
    return answer is None and took >= timeout.total_seconds() and lag >= timeout / 2


def sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    """Return one source for each target; the first of a workload speaks for its KPIs."""
    histories: dict[tuple[str, str, str], History] = {}
    found = []
    for target in settings.targets:
        workload = (target.namespace, target.workload, target.workload_type)
        speaks = workload not in histories
        history = histories.setdefault(workload, History(settings.window))
        probe = Probe(target, history, clients, speaks=speaks)
        # The probe ends by itself; the schedule's own bound only catches what should not be.
        bound = target.timeout * 2 + timedelta(seconds=1)
        found.append(PolledSource(target.name, target.interval, bound, probe.collect))
    return found


SPEC = CollectorSpec(
    name="http_probe",
    help="Availability and connect time of HTTP addresses.",
    settings=Settings,
    metrics=(SUCCESS, DURATION, CONNECT, STATUS, ATTEMPTS, FAILURES, SUSPECT),
    sources=sources,
    kpis=("availability", "network_latency"),
)
