"""Asks the applications' health addresses from outside, as a user would."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

from exporter.contract import (
    Collected,
    CollectorSpec,
    Metric,
    OnDemand,
    PolledSource,
    Reading,
    Sample,
)
from exporter.ports import Clients
from exporter.probe_port import Exchange, Failure, Phase
from exporter.probes.addresses import Addresses, Missing
from exporter.probes.allow import Configured
from exporter.probes.asking import ask
from exporter.probes.judge import Verdict, judge
from exporter.probes.on_demand import OnDemandProbes
from exporter.probes.settings import Module, Settings, Target
from exporter.shared.clock import Clock

WORKLOAD = ("namespace", "workload", "workload_type")
LABELS = (*WORKLOAD, "probe")

SUCCESS = Metric(
    "kpi_probe_success", "1 when the last probe got the answer it expects.", "gauge", LABELS
)
DURATION = Metric(
    "kpi_probe_duration_seconds", "Time the last probe took, answered or not.", "gauge", LABELS
)
CONNECT = Metric(
    "kpi_probe_connect_seconds",
    "Time the last probe took to connect by TCP: neither the name's resolution nor TLS is in it.",
    "gauge",
    LABELS,
)
PHASE = Metric(
    "kpi_probe_phase_seconds",
    "Time of each phase of the last probe (resolve, connect, tls, processing, transfer), summed "
    "over redirects; one that was not gone through is absent.",
    "gauge",
    (*LABELS, "phase"),
)
STATUS = Metric("kpi_probe_status_code", "HTTP status of the last probe's answer.", "gauge", LABELS)
REASON = Metric(
    "kpi_probe_failure_reason",
    "1 for the reason why the last probe failed; none when it succeeded.",
    "gauge",
    (*LABELS, "reason"),
)
REDIRECTED = Metric(
    "kpi_probe_redirects", "Redirects that the last probe followed.", "gauge", LABELS
)
EXPIRY = Metric(
    "kpi_probe_certificate_expiry_timestamp_seconds",
    "When the certificate of the last probe's server ends, verified or not.",
    "gauge",
    LABELS,
)
VERIFIED = Metric(
    "kpi_probe_certificate_verified",
    "1 when the certificate of the last probe's server could be verified.",
    "gauge",
    LABELS,
)
TLS_INFO = Metric(
    "kpi_probe_tls_info", "TLS version of the last probe.", "gauge", (*LABELS, "version")
)
ATTEMPTS = Metric(
    "kpi_probe_attempts_total",
    "Probes that were made, suspect ones left out: the whole of the availability.",
    "counter",
    LABELS,
)
FAILURES = Metric(
    "kpi_probe_failures_total", "Probes of kpi_probe_attempts_total that failed.", "counter", LABELS
)
SUSPECT = Metric(
    "kpi_probe_suspect",
    "1 when the last probe timed out while the exporter itself was held up: it says nothing of the "
    "target, and counts as no attempt.",
    "gauge",
    LABELS,
)
SUSPECTS = Metric("kpi_probe_suspects_total", "Probes that were suspect.", "counter", LABELS)
LAG = Metric(
    "kpi_probe_loop_lag_seconds",
    "Time that the exporter was held up while the last probe ran.",
    "gauge",
    LABELS,
)
SKIPPED = Metric(
    "kpi_probe_skipped_reason",
    "1 for the reason why no probe could be made: the target has no address, or a file that the "
    "probe needs cannot be read. It says nothing of the target's health, and counts as no attempt.",
    "gauge",
    (*LABELS, "reason"),
)

TICK = timedelta(milliseconds=50)
"""How often a probe in flight looks whether the loop still turns."""

GRAIN = 0.005
"""Seconds that a sleep may last longer without anything having held it up; epoll counts in ms."""


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
        """Take in an outcome, newer than those before."""
        self._outcomes.append(outcome)

    def kpis(self, workload: tuple[str, str, str], now: float) -> list[Reading]:
        """Return the KPIs of `workload`; those that are unknown are left out."""
        while self._outcomes and self._outcomes[0].at <= now - self._window:
            self._outcomes.popleft()
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
    """The time that the loop was away."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def watch(self, clock: Clock) -> None:
        """Measure until cancelled."""
        while True:
            before = clock.monotonic()
            await clock.sleep(TICK)
            away = clock.monotonic() - before - TICK.total_seconds()
            if away > GRAIN:
                self.seconds += away


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

    def __init__(
        self, target: Target, module: Module, history: History, clients: Clients, *, speaks: bool
    ) -> None:
        self._target = target
        self._module = module
        self._timeout = target.timeout or module.timeout
        self._history = history
        self._clients = clients
        self._speaks = speaks
        self._addresses = Addresses(clients.kube, clients.clock)
        self._labels = (*target.subject, target.name)
        self._attempts = 0
        self._failures = 0
        self._suspects = 0

    async def collect(self) -> Collected:
        """Ask once. A target that does not answer is a sample of 0, not an error."""
        clock = self._clients.clock
        url = await self._addresses.url(self._target)
        if isinstance(url, Missing):
            return self._collected([Sample(SKIPPED, (*self._labels, url), 1.0)])
        async with measured_lag(clock) as lag:
            exchange = await ask(
                self._clients.prober, self._module, url, Configured(), deadline=self._timeout
            )
            await clock.sleep(timedelta(0))  # lets the measure see the lag that ends here
        if exchange.failure is Failure.FILE:  # the exporter's trouble must roll nobody back
            return self._collected([Sample(SKIPPED, (*self._labels, Failure.FILE), 1.0)])
        verdict = judge(self._module.expectation(), exchange)
        suspect = is_suspect(verdict, lag.seconds, self._timeout)
        present = [
            Sample(SUSPECT, self._labels, float(suspect)),
            Sample(LAG, self._labels, lag.seconds),
        ]
        if suspect:
            self._suspects += 1
        else:
            present += self._count(verdict, exchange, lag.seconds)
        return self._collected(present)

    def _count(self, verdict: Verdict, exchange: Exchange, lag: float) -> list[Sample]:
        """Count a probe and return what it says of the present."""
        self._attempts += 1
        self._failures += not verdict.good
        # Half of a time is the most of it that may have been the exporter's, as at its start.
        phases = {name: took for name, took in exchange.phases.items() if lag <= took / 2}
        connect = phases.get(Phase.CONNECT)
        if connect is not None:
            connect /= exchange.connections
        at = self._clients.clock.monotonic()
        self._history.push(Outcome(at, verdict.good, connect))
        labels = self._labels
        samples = [
            Sample(SUCCESS, labels, float(verdict.good)),
            Sample(DURATION, labels, exchange.seconds),
            Sample(REDIRECTED, labels, exchange.redirects),
            *(Sample(PHASE, (*labels, name), took) for name, took in phases.items()),
        ]
        if connect is not None:
            samples.append(Sample(CONNECT, labels, connect))
        if exchange.status is not None:
            samples.append(Sample(STATUS, labels, exchange.status))
        if verdict.failure is not None:
            samples.append(Sample(REASON, (*labels, verdict.failure), 1.0))
        return [*samples, *certificate(labels, exchange)]

    def _collected(self, present: list[Sample]) -> Collected:
        """Return what is known `present`-ly together with the counters and the KPIs."""
        labels, now = self._labels, self._clients.clock.monotonic()
        return Collected(
            [
                *present,
                Sample(ATTEMPTS, labels, self._attempts),
                Sample(FAILURES, labels, self._failures),
                Sample(SUSPECTS, labels, self._suspects),
            ],
            self._history.kpis(self._target.subject, now) if self._speaks else (),
        )


def certificate(labels: tuple[str, ...], exchange: Exchange) -> list[Sample]:
    """Return what is known of the server's certificate and TLS."""
    tls = exchange.tls
    if tls is None:
        return []
    found = [Sample(VERIFIED, labels, float(tls.verified))]
    if tls.expires is not None:
        found.append(Sample(EXPIRY, labels, tls.expires.timestamp()))
    if tls.version:
        found.append(Sample(TLS_INFO, (*labels, tls.version), 1.0))
    return found


def is_suspect(verdict: Verdict, lag: float, timeout: timedelta) -> bool:
    """Say whether a failure is the exporter's own.

    It is when the target ran out of time, and the loop was away for half of the time it had.
    """
    return verdict.failure is Failure.TIMEOUT and lag >= timeout.total_seconds() / 2


def sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    """Return one source for each target; the first of a workload speaks for its KPIs."""
    modules = settings.modules_by_name()
    histories: dict[tuple[str, str, str], History] = {}
    found = []
    for target in settings.targets:
        speaks = target.subject not in histories
        history = histories.setdefault(target.subject, History(settings.window))
        probe = Probe(target, modules[target.module], history, clients, speaks=speaks)
        # The probe ends by itself; the schedule's own bound only catches what should not be.
        bound = (target.timeout or modules[target.module].timeout) * 2 + timedelta(seconds=5)
        share = [each for each in settings.targets if each.subject == target.subject]
        made_of = (target, settings.window, [(each, modules[each.module]) for each in share])
        found.append(PolledSource(target.name, target.interval, bound, probe.collect, made_of))
    return found


def on_demand(settings: Settings, clients: Clients) -> OnDemand:
    """Return what answers /probe."""
    return OnDemandProbes(settings, clients).answer


SPEC = CollectorSpec(
    name="http_probe",
    help="Availability, latency by phase and certificates of HTTP addresses.",
    settings=Settings,
    metrics=(
        *(SUCCESS, DURATION, CONNECT, PHASE, STATUS, REASON, REDIRECTED),
        *(EXPIRY, VERIFIED, TLS_INFO),
        *(ATTEMPTS, FAILURES, SUSPECT, SUSPECTS, LAG, SKIPPED),
    ),
    sources=sources,
    kpis=("availability", "network_latency"),
    reads_kubernetes=lambda settings: any(target.service for target in settings.targets),
    permissions=("core/services:get",),
    on_demand=on_demand,
)
