"""Who may have what probed, how long it may take, and what is answered."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.contract import Reply
from exporter.ports import Answer
from exporter.probe_port import Exchange, Failure, Phase, TlsFacts
from exporter.probes.on_demand import OnDemandProbes, deadline
from exporter.probes.settings import Settings
from tests.fake_clients import FakeClients

URL = "http://a.test/health"
TARGET = {"name": "health", "url": URL, "workload": "web"}
FRONT = {"name": "front", "service": "default/front"}
GOOD = Exchange(
    0.25,
    status=200,
    version="1.1",
    headers={"Content-Length": "4"},
    body=b"okay",
    phases={Phase.RESOLVE: 0.01, Phase.CONNECT: 0.02, Phase.PROCESSING: 0.2},
    redirects=1,
    address="10.0.0.1",
    tls=TlsFacts("TLSv1.3", verified=True, expires=datetime(2027, 1, 1, tzinfo=UTC)),
    log=("      0.1 ms  connected to 10.0.0.1 port 80",),
)
GOLDEN = Path(__file__).with_name("probe.txt")


class World:
    def __init__(self, on_demand: object = None, **more: object) -> None:
        self.clients = FakeClients()
        given = {"targets": [TARGET, FRONT], "on_demand": on_demand or {}, **more}
        self.probes = OnDemandProbes(Settings.model_validate(given), self.clients)
        self.clients.prober.replies = {URL: GOOD, "http://b.test": GOOD}

    async def ask(self, **query: str) -> Reply:
        return await self.probes.answer(query, timedelta(seconds=10))


async def test_an_answer_is_a_page_with_the_names_that_are_known() -> None:
    reply = await World({"targets": ["health"]}).ask(target="health")
    assert reply == (200, GOLDEN.read_text())


async def test_a_failure_is_a_page_too_and_leaves_out_what_is_not_known() -> None:
    world = World({"targets": ["*"]})
    world.clients.prober.replies[URL] = Exchange(5.0, Failure.CONNECT, "Connection refused")
    reply = await world.ask(target="health")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }
    assert (reply.status, found) == (
        200,
        {
            ("probe_success",): 0,
            ("probe_duration_seconds",): 5,
            ("probe_failure_reason", "connect"): 1,
            ("probe_http_redirects",): 0,
        },
    )


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({}, 400, "target is missing"),
        ({"target": "health"}, 403, "on_demand.targets"),
        ({"target": URL}, 403, "host a.test port 80 is not in the allow-list"),
        ({"target": "a.test:8080/x"}, 403, "port 8080"),
        ({"target": "https://a.test"}, 403, "port 443"),
        ({"target": URL, "module": "other"}, 400, "no module 'other'"),
        ({"target": "http://u:p@a.test/"}, 400, "user or password"),
        ({"target": "ftp://a.test/"}, 400, "no http or https URL"),
        ({"target": "http://"}, 400, "no http or https URL"),
        ({"target": "http://a.test:99999/"}, 400, "no URL"),
        ({"target": "http://[::1/"}, 400, "no URL"),
    ],
)
async def test_nothing_is_asked_by_default(query: dict[str, str], status: int, words: str) -> None:
    world = World()
    reply = await world.probes.answer(query, None)
    assert reply.status == status
    assert words in reply.text
    assert world.clients.prober.asked == []


async def test_a_listed_host_is_asked_and_its_guard_goes_along() -> None:
    world = World({"hosts": ["b.test"], "networks": ["10.0.0.0/8"]})
    assert (await world.ask(target="b.test")).status == 200
    [(request, _)] = world.clients.prober.asked
    assert request.url == "http://b.test"
    assert request.guard.host("a.test", 80) is not None
    assert request.guard.address("10.1.2.3") is None
    assert request.guard.address("11.1.2.3") is not None


async def test_secrets_of_a_module_go_only_to_targets_that_are_set_up_for_it() -> None:
    modules = {"secret": {"header_files": {"Authorization": "/nowhere"}}}
    everything = {"targets": ["*"], "hosts": ["b.test"], "networks": ["10.0.0.0/8"]}
    own = {**TARGET, "name": "own", "module": "secret"}
    world = World(everything, modules=modules, targets=[TARGET, own])
    assert (await world.ask(target="b.test", module="secret")).status == 403
    assert (await world.ask(target="health", module="secret")).status == 403
    reply = await world.ask(target="own")
    assert (reply.status, 'reason="file"' in reply.text) == (200, True)


async def test_a_service_without_an_address_is_not_found_rather_than_down() -> None:
    world = World({"targets": ["*"]})
    body = b'{"spec": {"type": "LoadBalancer"}}'
    world.clients.kube.answers["/api/v1/namespaces/default/services/front"] = Answer(200, body)
    reply = await world.ask(target="front")
    assert (reply.status, "load_balancer_pending" in reply.text) == (404, True)


@pytest.mark.parametrize(
    ("own", "scrape", "expected"),
    [(5, None, 5), (5, 10, 5), (5, 3, 2.5), (5, 1, 0.5), (5, 0.4, 0.2), (120, 60, 59.5)],
)
def test_a_probe_ends_before_the_scrape_does(
    own: float, scrape: float | None, expected: float
) -> None:
    given = None if scrape is None else timedelta(seconds=scrape)
    assert deadline(timedelta(seconds=own), given) == timedelta(seconds=expected)


async def test_debug_shows_the_log_beside_the_metrics() -> None:
    reply = await World({"targets": ["*"]}).ask(target="health", debug="true")
    assert "connected to 10.0.0.1" in reply.text
    assert "Verdict: success" in reply.text
    assert reply.text.endswith(GOLDEN.read_text())


async def test_only_so_many_run_at_once() -> None:
    world = World({"targets": ["*"], "at_once": 2})
    replies = await asyncio.gather(*(world.ask(target="health") for _ in range(3)))
    assert [reply.status for reply in replies] == [200, 200, 503]
    assert (await world.ask(target="health")).status == 200
