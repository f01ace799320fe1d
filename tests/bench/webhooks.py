"""Durable webhooks per second on SQLite: many to a commit beside one to a commit."""

import asyncio
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from exporter.shared.clock import SystemClock
from tests.bed.process import Process
from tests.bench.measuring import cpu_seconds_of
from tests.bench.row import Row

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
    connections: int = 32
    alerts: int = 1
    path: str = "/api/v1/alerts"


ONE_BUSY = Scenario("one to a commit, 50 workflows", 1, workflows=50)
MANY_BUSY = Scenario("many to a commit, 50 workflows", MANY, workflows=50)
ONE = Scenario("one to a commit", 1)
MANY_IDLE = Scenario("many to a commit", MANY)
NOTHING = Scenario("the body read and nothing else", MANY, path="/nothing")
GROUPS = Scenario("many to a commit, groups of 10", MANY, alerts=10)
SINGLE = Scenario("many to a commit, 1 connection", MANY, connections=1)

SCENARIOS = (ONE_BUSY, MANY_BUSY, ONE, MANY_IDLE, NOTHING, GROUPS, SINGLE)


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


def requests(alerts: int, path: str) -> Iterator[bytes]:
    """Yield requests without end, each alert with a fingerprint of its own."""
    document = json.loads(PAYLOAD.read_bytes())
    document["alerts"] *= alerts
    parts = json.dumps(document).encode().split(FINGERPRINT)
    length = sum(map(len, parts)) + len(FINGERPRINT) * (len(parts) - 1)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()
    numbers = itertools.count()
    while True:
        body = parts[0]
        for part in parts[1:]:
            body += b"%016x" % next(numbers) + part
        yield head + body


async def observe(scenario: Scenario, seconds: float, folder: Path) -> Seen:
    """Run one scenario: the server on the first core, the callers here."""
    argv = [sys.executable, "-m", "tests.bench.webhook_server", str(folder), "--core", "0"]
    argv += ["--per-commit", str(scenario.per_commit), "--workflows", str(scenario.workflows)]
    port_file = folder / "port"

    async def ready() -> bool:
        return port_file.exists()

    log = folder / "server.log"
    async with await Process.start(argv, log=log, name="webhook server", ready=ready) as server:
        port = int(port_file.read_text())
        await _call(scenario, port, 0.5)  # warm up
        steps, cpu = await _steps(port), cpu_seconds_of(server.pid)
        callers = await _call(scenario, port, seconds)
        steps, cpu = await _steps(port) - steps, cpu_seconds_of(server.pid) - cpu
        assert server.exit_code is None, server.tail()
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


async def _call(scenario: Scenario, port: int, seconds: float) -> list[Caller]:
    loop = asyncio.get_running_loop()
    stream = requests(scenario.alerts, scenario.path)
    callers = [
        (await loop.create_connection(lambda: Caller(stream), HOST, port))[1]
        for _ in range(scenario.connections)
    ]
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.hang_up()
    return callers


async def _steps(port: int) -> int:
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
    busy, peer = seen[MANY_BUSY], seen[ONE_BUSY]
    yield Row("durable webhooks", busy.requests_per_second, "1/s", "G10", at_least=3000)
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
    yield Row("p99 of durable webhooks", busy.p99_ms, "ms", "G10", at_most=30)
    alerts = seen[GROUPS].requests_per_second * GROUPS.alerts
    yield Row("alerts in groups of 10", alerts, "1/s", "G10", at_least=10_000)
    yield Row("p50 of an idle server", seen[SINGLE].p50_ms, "ms", "G10", at_most=2)
