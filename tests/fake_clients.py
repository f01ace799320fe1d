"""The world of a collector's unit test: time and answers are handed in, nothing is opened."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exporter.application import Application
from exporter.aws_port import AwsAccount
from exporter.command_port import Finished
from exporter.contract import Collected, Metric
from exporter.exposition.store import FragmentStore
from exporter.ports import (
    Answer,
    Follower,
    HttpAnswer,
    PodView,
    Response,
    WatchedNode,
    WatchedPod,
    WatchedReplicaSet,
)
from exporter.probe_port import Exchange, Request
from exporter.shared.errors import PermanentError, RunbookdError, TransientError

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class FakeClock:
    """Time that stands still until `advance`."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, duration: timedelta) -> None:
        if duration <= timedelta(0):
            await asyncio.sleep(0)
            return
        waiting = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed + duration.total_seconds(), waiting))
        await waiting

    def advance(self, seconds: float) -> None:
        """Let time pass and wake whoever is due."""
        self._elapsed += seconds
        due = [waiting for at, waiting in self._sleepers if at <= self._elapsed]
        self._sleepers = [each for each in self._sleepers if each[0] > self._elapsed]
        for waiting in due:
            if not waiting.done():
                waiting.set_result(None)


Reply = HttpAnswer | RunbookdError


def page(body: str, *, status: int = 200, kind: str = "text/plain; version=0.0.4") -> HttpAnswer:
    return HttpAnswer(status, body.encode(), {"Content-Type": kind})


class FakeHttp:
    """Answers by URL; a URL that nothing was said about is an error of the test."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Callable[[], Reply]] = {}
        self.asked: list[str] = []

    async def get(
        self,
        url: str,
        *,
        deadline: timedelta,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        del deadline, headers
        self.asked.append(url)
        await asyncio.sleep(0)
        reply = self.replies[url]
        answer = reply() if callable(reply) else reply
        if isinstance(answer, RunbookdError):
            raise answer
        if len(answer.body) > max_bytes:
            raise PermanentError("too long")
        return answer


class FakeProber:
    """Answers by URL, as FakeHttp does; what it was asked can be looked at."""

    def __init__(self) -> None:
        self.replies: dict[str, Exchange | Callable[[], Exchange]] = {}
        self.asked: list[tuple[Request, timedelta]] = []

    async def ask(self, request: Request, deadline: timedelta) -> Exchange:
        self.asked.append((request, deadline))
        await asyncio.sleep(0)
        reply = self.replies[request.url]
        return reply() if callable(reply) else reply


@dataclass
class FakePod:
    name: str
    ip: str
    ready: bool = True
    workload: str = "task-manager"
    workload_type: str = "deployment"
    namespace: str = "default"
    labels: Mapping[str, str] = field(default_factory=lambda: {"app": "task-manager"})
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: datetime | None = None

    uid: str = ""

    def __post_init__(self) -> None:
        self.uid = f"uid-{self.name}"


class FakePods:
    def __init__(self) -> None:
        self.pods: list[FakePod] = []
        self.watched: list[WatchedPod] = []
        self.synced = True

    def matching(self, namespace: str, selector: Mapping[str, str]) -> Sequence[PodView]:
        return [
            pod
            for pod in self.pods
            if namespace in ("", pod.namespace) and selector.items() <= pod.labels.items()
        ]

    def everywhere(self) -> Sequence[WatchedPod]:
        return self.watched

    async def follow(self, follower: Follower[WatchedPod]) -> None:
        raise NotImplementedError

    async def follow_replica_sets(self, follower: Follower[WatchedReplicaSet]) -> None:
        raise NotImplementedError


class FakeNodes:
    def __init__(self) -> None:
        self.nodes: list[WatchedNode] = []
        self.synced = True

    def everywhere(self) -> Sequence[WatchedNode]:
        return self.nodes

    async def follow(self, follower: Follower[WatchedNode]) -> None:
        raise NotImplementedError


class FakeResolver:
    """Knows the names it was told of."""

    def __init__(self) -> None:
        self.names: dict[str, Sequence[str]] = {}

    async def resolve(self, name: str, *, deadline: timedelta) -> Sequence[str]:
        del deadline
        if name not in self.names:
            raise TransientError("no such name")
        return self.names[name]


class FakeKube:
    """Answers lists by path, two objects a page; a path without an answer is the test's error."""

    def __init__(self) -> None:
        self.objects: dict[str, Sequence[object] | RunbookdError] = {}
        self.answers: dict[str, Answer | RunbookdError] = {}
        """To `ask`, and to a list of what comes without pages."""
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        """Verb, path and query of each request, but for what pages through it."""
        self.shown: bytes | None = None
        """The certificate that the server shows."""

    async def list(self, path: str, query: Mapping[str, str]) -> bytes:
        await asyncio.sleep(0)
        if path in self.answers:
            return (await self.ask(path, deadline=timedelta(0))).body
        return self._page("list", path, query)

    async def metadata(self, path: str, query: Mapping[str, str]) -> bytes:
        return self._page("metadata", path, query)

    async def watch(self, path: str, query: Mapping[str, str]) -> Response:
        raise NotImplementedError

    async def ask(self, path: str, *, deadline: timedelta) -> Answer:
        del deadline
        self.asked.append(("ask", path, {}))
        answer = self.answers[path]
        if isinstance(answer, RunbookdError):
            raise answer
        return answer

    async def certificate(self) -> bytes | None:
        return self.shown

    def _page(self, verb: str, path: str, query: Mapping[str, str]) -> bytes:
        paging = ("limit", "continue")
        self.asked.append((verb, path, {k: v for k, v in query.items() if k not in paging}))
        objects = self.objects[path]
        if isinstance(objects, RunbookdError):
            raise objects
        start = int(query.get("continue", "0"))
        metadata = {"resourceVersion": "1"}
        if start + 2 < len(objects):
            metadata["continue"] = str(start + 2)
        return json.dumps({"metadata": metadata, "items": objects[start : start + 2]}).encode()


class FakeAws:
    """Answers operations (`eks.describe_cluster`) with what was said, a list page by page."""

    def __init__(self) -> None:
        self.answers: dict[str, Sequence[Mapping[str, object]] | RunbookdError] = {}
        self.asked: list[tuple[str, Mapping[str, object]]] = []
        self.counted: dict[tuple[str, str], int] = {}

    async def call(
        self, service: str, operation: str, **parameters: object
    ) -> Mapping[str, object]:
        turn = sum(name == f"{service}.{operation}" for name, _ in self.asked)
        answers = self._answers(service, operation, parameters)
        return answers[turn % len(answers)]

    async def pages(
        self, service: str, operation: str, **parameters: object
    ) -> AsyncIterator[Mapping[str, object]]:
        for page in self._answers(service, operation, parameters):
            yield page

    def requests(self) -> Mapping[tuple[str, str], int]:
        return self.counted

    def _answers(
        self, service: str, operation: str, parameters: Mapping[str, object]
    ) -> Sequence[Mapping[str, object]]:
        name = f"{service}.{operation}"
        self.asked.append((name, parameters))
        answers = self.answers[name]
        if isinstance(answers, RunbookdError):
            raise answers
        return answers


class FakeCommands:
    """Ends every program as was said for its verb (`plan`), and notes how it was run."""

    def __init__(self) -> None:
        self.ends: dict[str, Finished] = {}
        self.ran: list[tuple[Sequence[str], Path, Mapping[str, str]]] = []

    async def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        deadline: timedelta,
        max_bytes: int,
    ) -> Finished:
        del deadline, max_bytes
        self.ran.append((argv, folder, environment))
        return self.ends.get(argv[1], Finished(0, ()))


Outcome = Sequence[Mapping[str, object]] | RunbookdError


class FakeDatabase:
    """Answers a query by what it contains; one that nothing was said about has no rows."""

    def __init__(self) -> None:
        self.replies: dict[str, Outcome] = {}
        self.asked: list[str] = []
        self.closed = 0

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, object]]:
        del args
        self.asked.append(query)
        found = [reply for part, reply in self.replies.items() if part in query]
        for reply in found:
            if isinstance(reply, RunbookdError):
                raise reply
            return reply
        return ()

    async def fetch_some(
        self, query: str, *, rows: int, within: timedelta
    ) -> Sequence[Mapping[str, object]]:
        del within
        return (await self.fetch(query))[:rows]

    async def close(self) -> None:
        self.closed += 1


class FakeConsole:
    """Answers SHOW by what is shown; what nothing was said about has no rows."""

    def __init__(self) -> None:
        self.replies: dict[str, Outcome] = {}
        self.closed = 0

    async def show(self, what: str) -> Sequence[Mapping[str, object]]:
        reply = self.replies.get(what, ())
        if isinstance(reply, RunbookdError):
            raise reply
        return reply

    async def close(self) -> None:
        self.closed += 1


class FakeClients:
    """contract.Clients, all in memory."""

    def __init__(self, applications: Sequence[Application] = ()) -> None:
        self.applications = applications
        self.clock = FakeClock()
        self.http = FakeHttp()
        self.commands = FakeCommands()
        self.prober = FakeProber()
        self.kube = FakeKube()
        self.pods = FakePods()
        self.nodes = FakeNodes()
        self.resolver = FakeResolver()
        self.databases: dict[str, FakeDatabase] = {}
        self.consoles: dict[str, FakeConsole] = {}
        self.accounts: dict[AwsAccount, FakeAws] = {}

    def database(self, dsn: str, *, collector: str, statement_timeout: timedelta) -> FakeDatabase:
        del collector, statement_timeout
        return self.databases.setdefault(dsn, FakeDatabase())

    def pgbouncer(self, dsn: str) -> FakeConsole:
        return self.consoles.setdefault(dsn, FakeConsole())

    def aws(self, account: AwsAccount) -> FakeAws:
        return self.accounts.setdefault(account, FakeAws())


TASK_MANAGER = Application(
    name="task-manager",
    namespace="default",
    selector={"app": "task-manager"},
    port=8000,
    path="/metrics",
    histogram="http_request_duration_seconds",
    status_label="status",
    route_label="route",
    errors="5..",
    ignore_routes=("/health",),
    apdex=timedelta(milliseconds=200),
)


def lines(collected: Collected) -> list[str]:
    """Write samples and readings as text, in the order they came."""
    found = []
    for one in collected.samples:
        pairs = [f'{k}="{v}"' for k, v in zip(one.metric.labels, one.labels, strict=True)]
        pairs += [f'le="{one.le}"'] if one.le else []
        name = one.metric.name + one.suffix
        found.append(f"{name}{{{','.join(pairs)}}} {one.value:g}")
    for kpi, subject, value in collected.readings:
        found.append(f"{kpi}{{{','.join(v for _, v in subject)}}} = {value:.4g}")
    return found


def exposition(metrics: Sequence[Metric], collected: Collected) -> str:
    """Write samples as a scrape gets them, headers included."""
    store = FragmentStore(metrics, max_series=10_000)
    store.open(metrics).put("", collected.samples)
    return store.document().text().decode()
