"""What a probe says of its target, and when it had better say nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.collectors.http_probe import SPEC, is_suspect
from exporter.contract import Collected, PolledSource
from exporter.ports import Answer
from exporter.probe_port import Exchange, Failure, Phase, TlsFacts
from exporter.probes.judge import Verdict
from exporter.probes.settings import Settings
from exporter.shared.errors import TransientError
from tests.fake_clients import FakeClients, exposition, lines

URL = "http://127.0.0.1:1/health"
GOLDEN = Path(__file__).with_name("http_probe.txt")
TARGET = {"name": "health", "url": URL, "workload": "task-manager"}
SERVICE = {"name": "front", "service": "default/front", "path": "/health"}
PATH = "/api/v1/namespaces/default/services/front"

PHASES = {
    Phase.RESOLVE: 0.001,
    Phase.CONNECT: 0.002,
    Phase.TLS: 0.004,
    Phase.PROCESSING: 0.03,
    Phase.TRANSFER: 0.0005,
}
TLS = TlsFacts("TLSv1.3", verified=True, expires=datetime(2027, 1, 1, tzinfo=UTC))
GOOD = Exchange(0.04, status=200, version="1.1", phases=PHASES, address="127.0.0.1", tls=TLS)
LOST = Exchange(5.0, Failure.TIMEOUT, "no time left")
REFUSED = Exchange(0.01, Failure.CONNECT, "Connection refused")


def settings(*targets: object, **more: object) -> Settings:
    return Settings.model_validate({"targets": targets, **more})


def sources(clients: FakeClients, given: Settings) -> list[PolledSource]:
    found = SPEC.sources(given, clients)
    return [source for source in found if isinstance(source, PolledSource)]


class World:
    def __init__(self, target: object = TARGET, **more: object) -> None:
        self.clients = FakeClients()
        (self.source,) = sources(self.clients, settings(target, **more))

    async def probe(self, reply: Exchange, *, away: float = 0.0) -> Collected:
        """Probe once; the loop is away for a while before the answer."""

        def come() -> Exchange:
            self.clients.clock.advance(away)
            return reply

        self.clients.prober.replies = dict.fromkeys(
            (URL, "http://lb.test:80/health", "http://[fd00::1]:80/health"), come
        )
        return await self.source.collect()


def values(found: Collected) -> dict[str, float]:
    return {" ".join((s.metric.name, *s.labels[4:])): s.value for s in found.samples}


async def test_an_answer_becomes_samples_and_kpis() -> None:
    found = await World().probe(GOOD)
    assert exposition(SPEC.metrics, found) == GOLDEN.read_text()
    assert [line for line in lines(found) if " = " in line] == [
        "availability{default,task-manager,deployment} = 1",
        "network_latency{default,task-manager,deployment} = 0.002",
    ]


async def test_a_failure_has_its_reason_and_nothing_that_is_not_known() -> None:
    found = await World().probe(REFUSED)
    assert values(found) == {
        "kpi_probe_success": 0,
        "kpi_probe_duration_seconds": 0.01,
        "kpi_probe_failure_reason connect": 1,
        "kpi_probe_redirects": 0,
        "kpi_probe_attempts_total": 1,
        "kpi_probe_failures_total": 1,
        "kpi_probe_suspect": 0,
        "kpi_probe_suspects_total": 0,
        "kpi_probe_loop_lag_seconds": 0,
    }
    assert [reading.kpi for reading in found.readings] == ["availability"]


async def test_an_answer_that_is_not_the_expected_one_keeps_status_and_time() -> None:
    found = values(await World().probe(replace(GOOD, status=503)))
    assert found["kpi_probe_success"] == 0
    assert found["kpi_probe_status_code"] == 503
    assert found["kpi_probe_failure_reason status"] == 1
    assert found["kpi_probe_connect_seconds"] == 0.002


def without(phase: Phase) -> dict[Phase, float]:
    return {name: seconds for name, seconds in PHASES.items() if name != phase}


@pytest.mark.parametrize(
    ("less", "absent"),
    [
        ({"status": None, "failure": Failure.PROTOCOL}, "kpi_probe_status_code"),
        ({"tls": None}, "kpi_probe_certificate_verified"),
        ({"tls": replace(TLS, expires=None)}, "kpi_probe_certificate_expiry_timestamp_seconds"),
        ({"tls": replace(TLS, version="")}, "kpi_probe_tls_info TLSv1.3"),
        *(({"phases": without(phase)}, f"kpi_probe_phase_seconds {phase}") for phase in PHASES),
        ({"phases": {}}, "kpi_probe_connect_seconds"),
    ],
)
async def test_what_is_missing_is_absent_and_the_rest_is_there(
    less: dict[str, object], absent: str
) -> None:
    everything = values(await World().probe(GOOD)).keys()
    found = values(await World().probe(replace(GOOD, **less)))  # type: ignore[arg-type]
    assert absent in everything
    assert absent not in found
    assert "kpi_probe_duration_seconds" in found


async def test_certificates_are_told_also_when_they_are_why_it_failed() -> None:
    expired = TlsFacts("TLSv1.3", verified=False, expires=datetime(2025, 1, 1, tzinfo=UTC))
    found = values(await World().probe(Exchange(0.1, Failure.CERTIFICATE, "expired", tls=expired)))
    assert found["kpi_probe_certificate_verified"] == 0
    assert found["kpi_probe_certificate_expiry_timestamp_seconds"] == 1735689600
    assert found["kpi_probe_failure_reason certificate"] == 1


async def test_the_connect_time_of_a_redirected_probe_is_that_of_one_connection() -> None:
    found = await World().probe(replace(GOOD, redirects=1, connections=2))
    assert values(found)["kpi_probe_connect_seconds"] == 0.001
    assert values(found)["kpi_probe_phase_seconds connect"] == 0.002


async def test_availability_looks_back_no_further_than_its_window() -> None:
    world = World()
    await world.probe(REFUSED)
    world.clients.clock.advance(60)
    assert (await world.probe(GOOD)).readings[0].value == 0.5
    world.clients.clock.advance(299)
    found = await world.probe(GOOD)
    assert found.readings[0].value == 1.0
    assert values(found)["kpi_probe_failures_total"] == 1, "counters do not forget"


async def test_a_timeout_while_the_loop_was_away_is_suspect_and_not_counted() -> None:
    world = World()
    await world.probe(GOOD)
    found = await world.probe(LOST, away=5.0)
    assert values(found) == {
        "kpi_probe_suspect": 1,
        "kpi_probe_suspects_total": 1,
        "kpi_probe_loop_lag_seconds": pytest.approx(4.95),
        "kpi_probe_attempts_total": 1,
        "kpi_probe_failures_total": 0,
    }
    assert found.readings[0].value == 1.0


async def test_phases_that_may_be_the_exporters_own_time_are_left_out() -> None:
    found = values(await World().probe(GOOD, away=0.06))
    assert found["kpi_probe_success"] == 1
    assert found["kpi_probe_loop_lag_seconds"] == pytest.approx(0.01)
    assert "kpi_probe_connect_seconds" not in found
    assert "kpi_probe_phase_seconds processing" in found


@pytest.mark.parametrize(
    ("failure", "lag", "expected"),
    [
        (Failure.TIMEOUT, 2.5, True),
        (Failure.TIMEOUT, 2.4, False),
        (Failure.CONNECT, 4.0, False),
        (None, 6.0, False),
    ],
)
def test_only_a_timeout_with_a_loop_away_for_half_of_it_is_suspect(
    failure: Failure | None,
    lag: float,
    expected: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    assert is_suspect(Verdict(failure), lag, timedelta(seconds=5)) is expected


async def test_of_two_probes_of_a_workload_one_speaks_for_both() -> None:
    clients = FakeClients()
    other = "http://127.0.0.1:2/tasks"
    first, second = sources(clients, settings(TARGET, {**TARGET, "name": "tasks", "url": other}))
    clients.prober.replies = {URL: GOOD, other: REFUSED}
    assert not (await second.collect()).readings
    assert (await first.collect()).readings[0].value == 0.5


async def test_a_module_says_how_to_ask_and_what_to_expect(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("Bearer geheim\n")
    strict = {
        "method": "HEAD",
        "status": 401,
        "headers": {"X-A": "1"},
        "header_files": {"Authorization": str(token)},
        "redirects": 2,
        "ip_protocol": "ipv4",
        "tls": {"verify": False, "min_version": "TLS13"},
        "timeout": "2s",
    }
    world = World({**TARGET, "module": "strict"}, modules={"strict": strict})
    assert values(await world.probe(replace(GOOD, status=401)))["kpi_probe_success"] == 1
    [(asked, deadline)] = world.clients.prober.asked
    assert (asked.method, asked.headers, asked.redirects) == ("HEAD", {"X-A": "1"}, 2)
    assert (asked.secrets, asked.family) == ({"Authorization": "Bearer geheim"}, "ipv4")
    assert (asked.tls.verify, asked.tls.at_least, deadline) == (
        False,
        "TLS13",
        timedelta(seconds=2),
    )
    token.unlink()
    found = values(await world.probe(GOOD))
    assert found["kpi_probe_skipped_reason file"] == 1


def service(code: int = 200, **more: object) -> Answer:
    body: dict[str, object] = {
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        "status": {"loadBalancer": {"ingress": [{"hostname": "lb.test"}]}},
        **more,
    }
    return Answer(code, json.dumps(body).encode())


async def test_a_service_is_asked_where_its_load_balancer_is() -> None:
    world = World(SERVICE)
    world.clients.kube.answers[PATH] = service()
    found = await world.probe(GOOD)
    assert [request.url for request, _ in world.clients.prober.asked] == [
        "http://lb.test:80/health"
    ]
    assert {sample.labels[:4] for sample in found.samples} == {
        ("default", "front", "deployment", "front")
    }


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (service(status={"loadBalancer": {}}), "load_balancer_pending"),
        (service(status={"loadBalancer": {"ingress": None}}), "load_balancer_pending"),
        (service(status={"loadBalancer": {"ingress": [{}]}}), "load_balancer_pending"),
        (service(status={}), "load_balancer_pending"),
        (service(spec={"type": "ClusterIP"}), "no_load_balancer"),
        (service(spec={}), "no_load_balancer"),
        (service(spec={"type": "LoadBalancer", "ports": None}), "no_port"),
        (service(404), "service_missing"),
        (service(403), "api_unavailable"),
        (Answer(200, b"{"), "api_unavailable"),
        (TransientError("away"), "api_unavailable"),
    ],
)
async def test_a_target_without_an_address_is_not_down(
    answer: Answer | TransientError, reason: str
) -> None:
    world = World(SERVICE)
    world.clients.kube.answers[PATH] = answer
    found = await world.probe(GOOD)
    assert values(found) == {
        f"kpi_probe_skipped_reason {reason}": 1,
        "kpi_probe_attempts_total": 0,
        "kpi_probe_failures_total": 0,
        "kpi_probe_suspects_total": 0,
    }
    assert not found.readings


async def test_a_target_that_nobody_could_ask_for_want_of_a_file_is_not_down() -> None:
    found = await World().probe(Exchange(0.0, Failure.FILE, "ca_file cannot be read"))
    assert values(found) == {
        "kpi_probe_skipped_reason file": 1,
        "kpi_probe_attempts_total": 0,
        "kpi_probe_failures_total": 0,
        "kpi_probe_suspects_total": 0,
    }
    assert not found.readings


async def test_a_known_address_outlives_the_api_server_and_is_asked_for_each_minute() -> None:
    world = World({**SERVICE, "port": 80})
    kube = world.clients.kube
    kube.answers[PATH] = service(status={"loadBalancer": {"ingress": [{"ip": "fd00::1"}]}})
    for _ in range(4):
        world.clients.clock.advance(25)
        await world.probe(GOOD)
    assert len(kube.asked) == 2
    kube.answers[PATH] = TransientError("away")
    world.clients.clock.advance(60)
    assert values(await world.probe(GOOD))["kpi_probe_success"] == 1
    assert world.clients.prober.asked[-1][0].url == "http://[fd00::1]:80/health"
    kube.answers[PATH] = service(404)
    assert "kpi_probe_skipped_reason service_missing" in values(await world.probe(GOOD))


def test_the_api_server_is_only_needed_for_services() -> None:
    assert not SPEC.will_read_kubernetes(settings(TARGET))
    assert SPEC.will_read_kubernetes(settings(TARGET, SERVICE))


def test_nothing_is_probed_by_default() -> None:
    assert sources(FakeClients(), Settings()) == []
