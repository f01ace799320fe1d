"""/probe beside blackbox_exporter: what both say of the same address is the same."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from exporter.clients.open import OpenClients
from exporter.probes.on_demand import OnDemandProbes
from exporter.probes.settings import Settings
from exporter.shared.clock import SystemClock
from tests.bed.peers import BlackboxExporter, Series, series, values
from tests.bed.process import free_port
from tests.bed.web_server import web_server
from tests.beside_blackbox_exporter import differences


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def broken(_: web.Request) -> web.Response:
    return web.Response(status=500, text="no")


async def moved(_: web.Request) -> web.Response:
    raise web.HTTPFound("/")


ROUTES = {"/": hello, "/broken": broken, "/moved": moved}
WORDS = {"plain": [], "bye": ["bye"]}
"""Module → what the body must hold."""


class Both:
    """Our probes and a blackbox_exporter that are set up alike."""

    def __init__(self, ours: OnDemandProbes, theirs: BlackboxExporter) -> None:
        self._ours = ours
        self._theirs = theirs

    async def probe(
        self, url: str, module: str = "plain"
    ) -> tuple[Mapping[Series, float], Mapping[Series, float]]:
        """Return what both say of an address."""
        reply = await self._ours.answer({"target": url, "module": module}, None)
        assert reply.status == 200, reply.text
        return values(reply.text), values(await self._theirs.probe(url, module))


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def both(tmp_path: Path, authority: trustme.CA) -> AsyncIterator[Both]:
    trusted = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(trusted)
    ours = {
        name: {
            "ip_protocol": "ipv4",
            "redirects": 10,
            "body_matches": words,
            "tls": {"ca_file": trusted},
        }
        for name, words in WORDS.items()
    }
    theirs = {
        name: {
            "prober": "http",
            "timeout": "5s",
            "http": {
                "preferred_ip_protocol": "ip4",
                "fail_if_body_not_matches_regexp": words,
                "tls_config": {"ca_file": trusted},
            },
        }
        for name, words in WORDS.items()
    }
    allowed = {"hosts": ["localhost"], "networks": ["127.0.0.0/8"]}
    settings = Settings.model_validate({"modules": ours, "on_demand": allowed})
    clients = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
    async with BlackboxExporter.start(tmp_path, theirs) as peer:
        yield Both(OnDemandProbes(settings, clients), peer)
    await clients.close()


async def test_both_say_the_same_of_answers_and_of_nobody(both: Both) -> None:
    async with web_server(ROUTES) as port:
        at = f"http://localhost:{port}"
        cases = [
            (f"{at}/", "plain", 1, 200),
            (f"{at}/broken", "plain", 0, 500),
            (f"{at}/moved", "plain", 1, 200),
            (f"{at}/", "bye", 0, 200),
            (f"http://localhost:{free_port()}/", "plain", 0, None),
        ]
        for url, module, success, status in cases:
            ours, theirs = await both.probe(url, module)
            assert differences(ours, theirs) == [], (url, module)
            assert ours[series("probe_success")] == success, (url, module)
            assert ours.get(series("probe_http_status_code")) == status, (url, module)


async def test_both_say_the_same_of_tls(both: Both, authority: trustme.CA) -> None:
    async with AsyncExitStack() as servers:
        ports = []
        for issuer in (authority, trustme.CA()):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            issuer.issue_cert("localhost").configure_cert(context)
            ports.append(await servers.enter_async_context(web_server(ROUTES, tls=context)))
        trusted, stranger = [await both.probe(f"https://localhost:{port}/") for port in ports]
    assert differences(*trusted) == []
    assert series("probe_ssl_earliest_cert_expiry") in trusted[1]
    assert series("probe_tls_version_info", version="TLS 1.3") in trusted[1]
    phases = {dict(labels)["phase"] for name, labels in trusted[0] if "http_duration" in name}
    assert phases == {"resolve", "connect", "tls", "processing", "transfer"}
    # Of a certificate that is not trusted we tell the end all the same.
    assert [found.get(series("probe_success")) for found in stranger] == [0, 0]
