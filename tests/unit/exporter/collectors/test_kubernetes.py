"""The collector's sources that ask instead of watching; what is watched is told in kinds/."""

from datetime import timedelta

import pytest

from exporter.collectors.kubernetes import SPEC, Settings
from exporter.contract import Collected, PolledSource
from exporter.ports import Answer
from exporter.shared.errors import TransientError
from tests.fake_clients import FakeClients, lines


async def collected(name: str, clients: FakeClients, settings: Settings) -> Collected:
    (source,) = [one for one in SPEC.sources(settings, clients) if one.name == name]
    assert isinstance(source, PolledSource)
    return await source.collect()


async def test_the_api_server_is_asked_whether_it_is_ready_and_for_its_version() -> None:
    clients = FakeClients()
    clients.kube.answers = {
        "/readyz?verbose": Answer(500, b"[-]etcd failed: reason withheld\n"),
        "/version": Answer(200, b'{"gitVersion": "v1.37.2"}'),
    }
    assert lines(await collected("apiserver", clients, Settings())) == [
        "kpi_apiserver_ready{} 0",
        "kpi_apiserver_response_seconds{} 0",
        'kpi_apiserver_check_ok{check="etcd"} 0',
        'kpi_apiserver_info{version="v1.37.2"} 1',
    ]


async def test_an_api_server_that_is_silent_is_not_ready() -> None:
    clients = FakeClients()
    clients.kube.answers = {"/readyz?verbose": TransientError("refused")}
    assert lines(await collected("apiserver", clients, Settings())) == ["kpi_apiserver_ready{} 0"]


async def test_an_api_server_may_keep_its_version_to_itself() -> None:
    clients = FakeClients()
    clients.kube.answers = {
        "/readyz?verbose": Answer(200, b"ok"),
        "/version": TransientError("too slow"),
    }
    assert lines(await collected("apiserver", clients, Settings())) == [
        "kpi_apiserver_ready{} 1",
        "kpi_apiserver_response_seconds{} 0",
    ]


async def test_names_are_looked_up_and_one_that_is_unknown_does_not_hide_another() -> None:
    clients = FakeClients()
    clients.resolver.names = {"kubernetes.default.svc": ["10.0.0.1"]}
    settings = Settings(dns_names=("gone.example", "kubernetes.default.svc"))
    assert lines(await collected("dns", clients, settings)) == [
        'kpi_dns_lookup_success{name="gone.example"} 0',
        'kpi_dns_lookup_seconds{name="gone.example"} 0',
        'kpi_dns_lookup_success{name="kubernetes.default.svc"} 1',
        'kpi_dns_lookup_seconds{name="kubernetes.default.svc"} 0',
    ]


def test_without_a_name_nothing_is_looked_up() -> None:
    names = [source.name for source in SPEC.sources(Settings(), FakeClients())]
    assert "dns" not in names
    assert "apiserver" in names


@pytest.mark.parametrize("name", ["apiserver", "dns"])
def test_a_pass_has_time_for_all_that_it_asks(name: str) -> None:
    settings = Settings(timeout=timedelta(seconds=7), dns_names=("a.example",))
    (source,) = [one for one in SPEC.sources(settings, FakeClients()) if one.name == name]
    assert isinstance(source, PolledSource)
    assert source.timeout > timedelta(seconds=14)
