"""What a probe says of its target, and when it had better say nothing."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from exporter.collectors.http_probe import SPEC, Settings, Target, is_suspect
from exporter.contract import Collected, PolledSource
from exporter.ports import HttpAnswer
from exporter.shared.errors import PermanentError, RunbookdError, TransientError
from tests.fake_clients import FakeClients, lines

URL = "http://127.0.0.1:1/health"
W = 'namespace="default",workload="task-manager",workload_type="deployment",probe="health"'


def target(name: str = "health", url: str = URL, **more: object) -> Target:
    return Target.model_validate({"name": name, "url": url, "workload": "task-manager", **more})


def sources(clients: FakeClients, *targets: Target) -> list[PolledSource]:
    found = SPEC.sources(Settings(targets=targets), clients)
    return [source for source in found if isinstance(source, PolledSource)]


def answer(status: int = 200, connect: float | None = 0.002) -> HttpAnswer:
    return HttpAnswer(status, b"ok", {}, connect, 0.01)


class World:
    def __init__(self, status: str = "2..") -> None:
        self.clients = FakeClients()
        (self.source,) = sources(self.clients, target(status=status))

    async def probe(
        self, reply: HttpAnswer | RunbookdError, *, took: tuple[float, ...] = (0.01,)
    ) -> Collected:
        """Probe once; the answer comes after the steps of `took`, each one turn of the loop."""

        def come() -> HttpAnswer | RunbookdError:
            for step in took:
                self.clients.clock.advance(step)
            return reply

        self.clients.http.replies[URL] = come
        return await self.source.collect()


def values(found: Collected) -> dict[str, float]:
    return {sample.metric.name: sample.value for sample in found.samples}


async def test_an_answer_becomes_samples_and_kpis() -> None:
    assert lines(await World().probe(answer())) == [
        f"kpi_probe_success{{{W}}} 1",
        f"kpi_probe_duration_seconds{{{W}}} 0.01",
        f"kpi_probe_status_code{{{W}}} 200",
        f"kpi_probe_connect_seconds{{{W}}} 0.002",
        f"kpi_probe_attempts_total{{{W}}} 1",
        f"kpi_probe_failures_total{{{W}}} 0",
        f"kpi_probe_suspect_total{{{W}}} 0",
        "availability{default,task-manager,deployment} = 1",
        "network_latency{default,task-manager,deployment} = 0.002",
    ]


@pytest.mark.parametrize("error", [TransientError("refused"), PermanentError("too long")])
async def test_no_answer_is_a_sample_of_zero_without_a_status(error: RunbookdError) -> None:
    found = await World().probe(error)
    assert values(found)["kpi_probe_success"] == 0
    assert values(found)["kpi_probe_failures_total"] == 1
    assert not values(found).keys() & {"kpi_probe_status_code", "kpi_probe_connect_seconds"}
    assert [reading.kpi for reading in found.readings] == ["availability"]


@pytest.mark.parametrize(
    ("expects", "status", "good"),
    [("2..", 204, 1), ("2..", 301, 0), ("2..", 503, 0), ("200|401", 401, 1), ("20", 200, 0)],
)
async def test_the_status_decides(expects: str, status: int, good: int) -> None:
    found = await World(status=expects).probe(answer(status))
    assert values(found)["kpi_probe_success"] == good
    assert values(found)["kpi_probe_status_code"] == status


async def test_availability_looks_back_no_further_than_its_window() -> None:
    world = World()
    await world.probe(TransientError("refused"))
    world.clients.clock.advance(60)
    found = await world.probe(answer())
    assert found.readings[0].value == 0.5
    world.clients.clock.advance(299)
    found = await world.probe(answer())
    assert found.readings[0].value == 1.0
    assert values(found)["kpi_probe_failures_total"] == 1, "counters do not forget"


async def test_a_timeout_while_the_loop_was_away_is_not_counted() -> None:
    world = World()
    await world.probe(answer())
    found = await world.probe(TransientError("timed out"), took=(5.0,))
    assert values(found) == {
        "kpi_probe_attempts_total": 1,
        "kpi_probe_failures_total": 0,
        "kpi_probe_suspect_total": 1,
    }
    assert found.readings[0].value == 1.0


@pytest.mark.parametrize(
    ("reply", "took", "lag", "expected"),
    [
        (None, 5.0, 2.5, True),
        (None, 5.0, 2.4, False),
        (None, 4.9, 4.0, False),
        (answer(), 6.0, 6.0, False),
    ],
)
def test_only_a_timeout_with_a_loop_away_for_half_of_it_is_suspect(
    reply: HttpAnswer | None,
    took: float,
    lag: float,
    expected: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    assert is_suspect(reply, took, timedelta(seconds=lag), timedelta(seconds=5)) is expected


async def test_of_two_probes_of_a_workload_one_speaks_for_both() -> None:
    clients = FakeClients()
    other = "http://127.0.0.1:2/tasks"
    first, second = sources(clients, target(), target("tasks", other))
    clients.http.replies = {URL: answer(), other: TransientError("refused")}
    assert not (await second.collect()).readings
    assert (await first.collect()).readings[0].value == 0.5


def test_a_status_that_is_no_expression_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        target(status="2(")


@pytest.mark.parametrize("url", ["", "127.0.0.1:80/health", "file:///etc/passwd", "http:///x"])
def test_an_address_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        target(url=url)


def test_nothing_is_probed_by_default() -> None:
    assert sources(FakeClients()) == []
