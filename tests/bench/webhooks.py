"""Durable webhooks per second on SQLite: many to a commit beside one to a commit."""

import asyncio
import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from exporter.shared.clock import SystemClock
from tests.bed.process import Process
from tests.bench import runbooks
from tests.bench.measuring import cpu_seconds_of
from tests.bench.row import Row
from tests.bench.runbooks import Server

SECONDS = 5.0
"""Length of each scenario."""

PAYLOAD = Path(__file__).parents[1] / "data" / "alertmanager_firing.json"
FINGERPRINT = b"2bf80ebe93a0c1a6"
MANY = 1000
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of the table."""

    name: str
    per_commit: int
    workflows: int = 0
    """Workflows of five steps beside the webhook alone."""
    runs: int = 0
    """Runs under way in the whole responder, which then also works on what it took in."""
    connections: int = 32
    alerts: int = 1
    path: str = "/api/v1/alerts"


WHOLE = Scenario("the whole responder, 50 runbooks running", MANY, runs=50)
ONE_BUSY = Scenario("one to a commit, 50 workflows", 1, workflows=50)
MANY_BUSY = Scenario("many to a commit, 50 workflows", MANY, workflows=50)
ONE = Scenario("one to a commit", 1)
MANY_IDLE = Scenario("many to a commit", MANY)
NOTHING = Scenario("the body read and nothing else", MANY, path="/nothing")
GROUPS = Scenario("many to a commit, groups of 10", MANY, alerts=10)
SINGLE = Scenario("many to a commit, 1 connection", MANY, connections=1)

SCENARIOS = (WHOLE, ONE_BUSY, MANY_BUSY, ONE, MANY_IDLE, NOTHING, GROUPS, SINGLE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the callers of one scenario saw."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_request: float
    refused: int
    steps_per_second: float


class Caller(asyncio.Protocol):
    """One connection that always has one request under way."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self.latencies: list[float] = []
        self.refused = 0
        self._requests = requests
        self._monotonic = SystemClock().monotonic
        self._transport: asyncio.WriteTransport | None = None
        self._answer = b""
        self._asked_at = 0.0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._ask()

    @override
    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, blank, body = self._answer.partition(b"\r\n\r\n")
        if not blank or len(body) < int(head.partition(b"Content-Length: ")[2].split(b"\r")[0]):
            return
        self._answer = b""
        if head.startswith(b"HTTP/1.1 200 "):
            self.latencies.append(self._monotonic() - self._asked_at)
        else:
            self.refused += 1
        self._ask()

    def hang_up(self) -> None:
        """Go, whatever is under way."""
        if self._transport:
            self._transport.abort()

    def _ask(self) -> None:
        assert self._transport is not None
        self._asked_at = self._monotonic()
        self._transport.write(next(self._requests))


def requests(scenario: Scenario, token: str) -> Iterator[bytes]:
    """Yield requests without end, each alert with a fingerprint of its own.

    The whole responder is told of alerts that are over, which lead to nothing: what is measured is
    the webhook beside the inbox' own work, and not beside as many new incidents.
    """
    document = json.loads(PAYLOAD.read_bytes())
    if scenario.runs:
        (alert,) = document["alerts"]
        alert |= {"status": "resolved", "endsAt": alert["startsAt"]}
    document["alerts"] *= scenario.alerts
    parts = json.dumps(document).encode().split(FINGERPRINT)
    length = sum(map(len, parts)) + len(FINGERPRINT) * (len(parts) - 1)
    head = (
        f"POST {scenario.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
    numbers = itertools.count()
    while True:
        body = parts[0]
        for part in parts[1:]:
            body += b"%016x" % next(numbers) + part
        yield head + body


@asynccontextmanager
async def webhook_alone(scenario: Scenario, folder: Path) -> AsyncIterator[Server]:
    """Run the webhook on its store, perhaps beside workflows, on the first core."""
    argv = [sys.executable, "-m", "tests.bench.webhook_server", str(folder), "--core", "0"]
    argv += ["--per-commit", str(scenario.per_commit), "--workflows", str(scenario.workflows)]
    port_file = folder / "port"

    async def ready() -> bool:
        return port_file.exists()

    log = folder / "server.log"
    async with await Process.start(argv, log=log, name="webhook server", ready=ready) as server:
        yield Server(int(port_file.read_text()), "none", server.pid)
        assert server.exit_code is None, server.tail()


async def observe(scenario: Scenario, seconds: float, folder: Path) -> Seen:
    """Run one scenario: the server on the first core, the callers here."""
    async with (
        runbooks.start(folder, scenario.runs, core=0)
        if scenario.runs
        else webhook_alone(scenario, folder)
    ) as server:
        stream = requests(scenario, server.token)
        await _call(stream, scenario.connections, server.port, 0.5)  # warm up
        steps, cpu = await _steps(scenario, server.port), cpu_seconds_of(server.pid)
        callers = await _call(stream, scenario.connections, server.port, seconds)
        steps = await _steps(scenario, server.port) - steps
        cpu = cpu_seconds_of(server.pid) - cpu
    latencies = sorted(latency for caller in callers for latency in caller.latencies)
    per_second = len(latencies) / seconds
    return Seen(
        requests_per_second=per_second,
        p50_ms=latencies[len(latencies) // 2] * 1000,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1000,
        cpu_us_per_request=cpu / len(latencies) * 1e6,
        refused=sum(caller.refused for caller in callers),
        steps_per_second=steps / seconds,
    )


async def _call(
    stream: Iterator[bytes], connections: int, port: int, seconds: float
) -> list[Caller]:
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: Caller(stream), HOST, port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.hang_up()
    return callers


async def _steps(scenario: Scenario, port: int) -> int:
    if not scenario.workflows:
        return 0
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"GET /steps HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return int(json.loads(answer.partition(b"\r\n\r\n")[2])["steps"])


def run(seconds: float) -> Iterator[tuple[Scenario, Seen]]:
    """Yield what each scenario showed; each takes `seconds` and the start of a server."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number, scenario in enumerate(SCENARIOS):
            own = Path(folder, str(number))
            own.mkdir()
            yield scenario, asyncio.run(observe(scenario, seconds, own))
    os.sched_setaffinity(0, cores)


def measure() -> Iterator[Row]:
    """Compare many to a commit with one to a commit; the server has one core, the callers one."""
    seen = dict(run(SECONDS))
    for scenario, one in seen.items():
        told = f"{scenario.name}: {{}}".format
        yield Row(told("requests"), one.requests_per_second, "1/s")
        yield Row(told("p50"), one.p50_ms, "ms")
        yield Row(told("p99"), one.p99_ms, "ms")
        yield Row(told("CPU a request"), one.cpu_us_per_request, "µs")
        yield Row(told("refused"), one.refused, "requests", at_most=0)
        if scenario.workflows:
            yield Row(told("steps of workflows"), one.steps_per_second, "1/s")
    whole, busy, peer = seen[WHOLE], seen[MANY_BUSY], seen[ONE_BUSY]
    for where, one in (("the whole responder", whole), ("beside 50 workflows", busy)):
        name = f"durable webhooks, {where}"
        yield Row(name, one.requests_per_second, "1/s", "G10", at_least=3000)
        yield Row(f"p99 of {name}", one.p99_ms, "ms", "G10", at_most=30)
    yield Row(
        "durable webhooks beside one to a commit",
        seen[MANY_IDLE].requests_per_second,
        "1/s",
        "G10",
        peer=seen[ONE].requests_per_second,
        peer_name="one to a commit",
        at_least=1.8,
    )
    yield Row(
        "the same beside 50 workflows",
        busy.requests_per_second,
        "1/s",
        peer=peer.requests_per_second,
        peer_name="one to a commit",
    )
    alerts = seen[GROUPS].requests_per_second * GROUPS.alerts
    yield Row("alerts in groups of 10", alerts, "1/s", "G10", at_least=10_000)
    yield Row("p50 of an idle server", seen[SINGLE].p50_ms, "ms", "G10", at_most=2)
