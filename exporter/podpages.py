"""Where the metric page of a pod is, and what became of asking for it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from exporter.application import Application
from exporter.pages import Page, PageError, PageReader
from exporter.ports import Http, HttpAnswer, HttpTimeoutError, PodView, TooLongError
from exporter.shared.clock import Clock
from exporter.shared.errors import RunbookdError
from exporter.shared.log import get_log
from exporter.tally import Target

PREFIXES = ("runbookd.io/", "prometheus.io/")
"""Of the annotations that pods are found by; the first that has one wins."""

HEADERS = {
    "Accept": "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5",
    "Accept-Encoding": "identity",
}
"""Text first: it is the shorter. Identity: within a cluster gzip costs more than it saves (0.56 ms
CPU a page of 490 KB against 1.36 ms)."""

AT_ONCE = 8
"""Pods asked at the same time."""

SLICE = 250
"""Lines read before other tasks may run: 14 ms when all are new, 0.2 ms when none is."""


class Reason(StrEnum):
    """Why a pod's page was not read."""

    NO_WORKLOAD = "no_workload"
    """Nothing that we know owns the pod."""
    NO_PORT = "no_port"
    """Neither the settings nor an annotation tell the port."""
    UNREACHABLE = "unreachable"
    DEADLINE = "deadline"
    NO_TIME = "no_time"
    """It was not asked: the others had used up the time of the pass."""
    STATUS = "status"
    """It answered, but not with 200."""
    FORMAT = "format"
    """What it answered is no page of metrics that can be vouched for."""
    TOO_LONG = "too_long"
    """More bytes or lines than the settings allow."""


class Unread(NamedTuple):
    """Why there is no page, in a word and in words."""

    reason: Reason
    text: str


_log = get_log(__name__)

Failures = list[tuple[PodView, Unread]]


class Limits(NamedTuple):
    """Bounds of reading an application's pages."""

    pass_timeout: timedelta
    pod_timeout: timedelta
    max_bytes: int
    """Of one page."""
    max_lines: int
    """Of one page."""
    max_label_sets: int
    """Of all pages together: different lines that are kept."""


def is_wanted(pod: PodView) -> bool:
    """Say whether the pod's annotations ask to be scraped."""
    return annotation(pod, "scrape") == "true"


def annotation(pod: PodView, name: str) -> str | None:
    """Return the pod's annotation of that name under our prefix, else under Prometheus'."""
    for prefix in PREFIXES:
        value = pod.annotations.get(prefix + name)
        if value is not None:
            return value
    return None


def address(application: Application, pod: PodView) -> str | None:
    """Return the URL of the pod's page; None when its port is not known.

    What the settings say goes before what an annotation says.
    """
    port = application.port
    if port is None:
        told = annotation(pod, "port") or ""
        if not (told.isascii() and told.isdecimal() and 0 < int(told) < 65536):
            return None
        port = int(told)
    path = application.path or annotation(pod, "path") or "/metrics"
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    return f"http://{host}:{port}/{path.lstrip('/')}"


class PodPages:
    """Reads the pages of one application's pods; each pod's failure is its own."""

    def __init__(
        self,
        application: Application,
        reader: PageReader[Target],
        limits: Limits,
        http: Http,
        clock: Clock,
    ) -> None:
        self._application = application
        self._reader = reader
        self._limits = limits
        self._http = http
        self._clock = clock
        self.lines = 0
        """Lines of all pages that were read."""
        self.parsed = 0
        """Of these the ones that were not known."""
        self.cut = 0
        """Of these the ones left out because nothing more is learned."""
        self._failing: dict[str, Reason] = {}

    async def read_all(
        self, pods: Sequence[PodView], within: timedelta, take: Callable[[PodView, Page], None]
    ) -> Failures:
        """Read the pages of `pods`, `take` each, and return those that could not be read.

        Those that failed before come last, so that they take no time from the others. A failure is
        logged when it is new.
        """
        ends = self._clock.monotonic() + within.total_seconds()
        free = asyncio.Semaphore(AT_ONCE)
        failures: Failures = []

        async def read(pod: PodView) -> None:
            async with free:
                outcome = await self._within(pod, timedelta(seconds=ends - self._clock.monotonic()))
            if isinstance(outcome, Page):
                take(pod, outcome)
            else:
                failures.append((pod, outcome))

        await asyncio.gather(*(read(pod) for pod in sorted(pods, key=self._was_slow)))
        self._tell(failures)
        return failures

    def _was_slow(self, pod: PodView) -> bool:
        return self._failing.get(pod.uid, Reason.NO_TIME) is not Reason.NO_TIME

    def _tell(self, failures: Failures) -> None:
        before, self._failing = self._failing, {pod.uid: why.reason for pod, why in failures}
        for pod, why in failures:
            if before.get(pod.uid) != why.reason:
                _log.warning(
                    "metrics of a pod cannot be read",
                    namespace=pod.namespace,
                    pod=pod.name,
                    reason=why.reason.value,
                    detail=why.text,
                )

    async def _within(self, pod: PodView, left: timedelta) -> Page | Unread:
        if left <= timedelta(0):
            return Unread(Reason.NO_TIME, f"no time was left to ask pod {pod.name}")
        return await self._read(pod, min(left, self._limits.pod_timeout))

    async def _read(self, pod: PodView, deadline: timedelta) -> Page | Unread:
        """GET and read the page of one pod."""
        url = address(self._application, pod)
        if url is None:
            return Unread(Reason.NO_PORT, f"pod {pod.name} is annotated with no port")
        try:
            answer = await self._http.get(
                url, deadline=deadline, max_bytes=self._limits.max_bytes, headers=HEADERS
            )
            return await self._page(pod, answer)
        except HttpTimeoutError as error:
            return Unread(Reason.DEADLINE, str(error))
        except TooLongError as error:
            return Unread(Reason.TOO_LONG, str(error))
        except PageError as error:
            return Unread(Reason.FORMAT, f"pod {pod.name}: {error}")
        except RunbookdError as error:
            return Unread(Reason.UNREACHABLE, str(error))

    async def _page(self, pod: PodView, answer: HttpAnswer) -> Page | Unread:
        if answer.status != 200:
            return Unread(Reason.STATUS, f"pod {pod.name} answered {answer.status}")
        lines = answer.body.split(b"\n")
        if len(lines) > self._limits.max_lines:
            return Unread(Reason.TOO_LONG, f"the page of pod {pod.name} has {len(lines)} lines")
        _check_format(answer.headers, lines)
        page = self._reader.blank()
        try:
            for start in range(0, len(lines), SLICE):
                self._reader.read(lines[start : start + SLICE], page)
                await self._clock.sleep(timedelta(0))
        finally:
            self.lines += len(lines)
            self.parsed += page.parsed
            self.cut += page.cut
        return self._reader.finish(page)


def _check_format(headers: Mapping[str, str], lines: Sequence[bytes]) -> None:
    """Raise PageError unless it is Prometheus' text or a whole page of OpenMetrics."""
    kind = headers.get("Content-Type", "text/plain").lower()
    if kind.startswith("application/openmetrics-text"):
        end = next((line for line in reversed(lines) if line.strip()), b"")
        if end.strip() != b"# EOF":
            raise PageError("the page was cut off: OpenMetrics ends with # EOF")
    elif not kind.startswith("text/plain"):
        raise PageError(f"{kind[:100]!r} is no format of metrics")
