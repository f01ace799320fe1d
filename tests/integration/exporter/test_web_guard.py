"""A server behind Prometheus' web configuration file: who gets in, and how it follows the file."""

import asyncio
import os
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import bcrypt
import pytest
import trustme
import yaml
from aiohttp import web

from exporter.shared.http import Server
from exporter.shared.web_guard import WAITING, WebGuard
from tests.bed.process import wait_until
from tests.bed.prometheus import Prometheus, Scrape
from tests.fake_clients import FakeClock

CA = trustme.CA()
OTHER_CA = trustme.CA()
PASSWORD = "correct horse"  # noqa: S105 - of this test alone
USERS = {"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of RFC 7617."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


class World:
    """A server, its web configuration file, and clients of all kinds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "web.yml"
        self.clock = FakeClock()
        self.server: Server
        CA.cert_pem.write_to_path(folder / "ca.pem")

    def issue(self, name: str = "127.0.0.1") -> str:
        """Write a new certificate and key for the server; return the certificate's number."""
        made = CA.issue_cert(name)
        self._replace("server.pem", made.cert_chain_pems[0].bytes())
        self._replace("server.key", made.private_key_pem.bytes())
        return "".join(made.cert_chain_pems[0].bytes().decode().split())

    def write(self, **settings: object) -> None:
        self._replace("web.yml", yaml.safe_dump(settings).encode())

    def tls(self, **more: object) -> dict[str, object]:
        self.issue()
        return {"cert_file": "server.pem", "key_file": "server.key", **more}

    async def get(
        self, password: str | None = None, tls: ssl.SSLContext | None = None
    ) -> tuple[int, dict[str, str]]:
        """Ask on a new connection."""
        headers = {} if password is None else basic("prometheus", password)
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(self.server.url, ssl=tls or True) as answer,
        ):
            return answer.status, dict(answer.headers)

    async def certificate(self) -> str:
        """Return the certificate that a new connection gets."""
        pem = await asyncio.to_thread(
            ssl.get_server_certificate, (self.server.host, self.server.port)
        )
        return "".join(pem.split())

    def _replace(self, name: str, content: bytes) -> None:
        """Replace a file as Kubernetes and careful people do: at once."""
        (self.folder / f"{name}.new").write_bytes(content)
        (self.folder / f"{name}.new").rename(self.folder / name)


def trusting(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@asynccontextmanager
async def served(world: World, **settings: object) -> AsyncIterator[None]:
    world.write(**settings)

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="kpi_up 1\n")

    guard = WebGuard(world.file, world.clock)
    app = web.Application()
    app.add_routes([web.get("/", hello), web.get("/metrics", hello)])
    guard.protect(app)
    world.server = await Server.start(app, "127.0.0.1", 0, tls=guard.tls())
    try:
        yield
    finally:
        await world.server.close()


async def test_a_real_prometheus_comes_in_with_tls_a_user_and_a_certificate(
    world: World, tmp_path: Path
) -> None:
    client = CA.issue_cert("prometheus.example")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    tls = world.tls(
        client_ca_file="ca.pem",
        client_auth_type="RequireAndVerifyClientCert",
        client_allowed_sans=["prometheus.example"],
        min_version="TLS13",
    )
    async with served(world, tls_server_config=tls, basic_auth_users=USERS):
        assert world.server.url.startswith("https://")
        scrape = Scrape(
            "guarded",
            world.server.url.removeprefix("https://"),
            more={
                "scheme": "https",
                "basic_auth": {"username": "prometheus", "password": PASSWORD},
                "tls_config": {
                    "ca_file": str(tmp_path / "ca.pem"),
                    "cert_file": str(tmp_path / "client.pem"),
                    "key_file": str(tmp_path / "client.key"),
                },
            },
        )
        async with Prometheus.start(tmp_path, scrapes=[scrape]) as prometheus:

            async def up() -> bool:
                return [value for _, value in await prometheus.query("up")] == [1.0]

            await wait_until(up, 15, "up == 1")


async def test_only_the_right_password_of_a_user_comes_in(world: World) -> None:
    async with served(world, basic_auth_users=USERS):
        status, headers = await world.get()
        assert (status, headers["WWW-Authenticate"]) == (401, "Basic")
        for password in ("wrong", "", PASSWORD + "\0", "x" * 100):
            assert (await world.get(password))[0] == 401
        for _ in range(2):
            assert (await world.get(PASSWORD))[0] == 200
        async with aiohttp.ClientSession() as session:
            wrong = ({"Authorization": header} for header in ("Basic !!", "Basic", "Basic eA=="))
            for sent in (basic("nobody", PASSWORD), *wrong):
                async with session.get(world.server.url, headers=sent) as answer:
                    assert answer.status == 401
            async with session.get(f"{world.server.url}/none") as answer:
                assert answer.status == 401


async def test_users_headers_and_rate_are_followed_and_a_bad_file_changes_nothing(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    async with served(world, basic_auth_users=USERS):
        assert (await world.get(PASSWORD))[0] == 200
        changed = bcrypt.hashpw(b"changed", bcrypt.gensalt(4)).decode()
        headers = {"X-Frame-Options": "deny", "X-XSS-Protection": ""}
        world.write(
            basic_auth_users={"prometheus": changed}, http_server_config={"headers": headers}
        )
        assert (await world.get(PASSWORD))[0] == 401
        status, got = await world.get("changed")
        assert (status, got["X-Frame-Options"], "X-XSS-Protection" in got) == (200, "deny", False)
        world.file.write_text("basic_auth_users: [")
        assert (await world.get("changed"))[0] == 200
        world.file.unlink()
        assert (await world.get("changed"))[0] == 200
        world.write(rate_limit={"interval": "1s", "burst": 2})
        assert [(await world.get())[0] for _ in range(3)] == [200, 200, 429]
        world.clock.advance(1)
        assert [(await world.get())[0] for _ in range(2)] == [200, 429]
        world.write()
        assert [(await world.get())[0] for _ in range(3)] == [200] * 3
    capfd.readouterr()


async def test_many_guesses_wait_in_a_line_that_has_an_end(world: World) -> None:
    slow = {"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()}
    async with served(world, basic_auth_users=slow):
        guesses = [world.get(f"guess {number}") for number in range(3 * WAITING)]
        answers = [status for status, _ in await asyncio.gather(*guesses)]
        assert set(answers) == {401, 503}
        assert answers.count(401) >= WAITING
        assert (await world.get(PASSWORD))[0] == 200


async def test_a_new_certificate_serves_new_connections_once_its_key_is_there(
    world: World,
) -> None:
    tls = world.tls()
    async with served(world, tls_server_config=tls):
        first = await world.certificate()
        made = CA.issue_cert("127.0.0.1")
        second = "".join(made.cert_chain_pems[0].bytes().decode().split())
        (world.folder / "server.pem").write_bytes(made.cert_chain_pems[0].bytes())
        assert await world.certificate() == first
        (world.folder / "server.key").write_bytes(made.private_key_pem.bytes())
        assert await world.certificate() == second
        assert (await world.get(tls=trusting()))[0] == 200


async def refused(ask: Callable[[], Awaitable[object]]) -> bool:
    try:
        await ask()
    except (aiohttp.ClientError, OSError):
        return True
    return False


async def test_a_client_without_the_right_certificate_or_version_stays_outside(
    world: World,
) -> None:
    tls = world.tls(
        client_ca_file="ca.pem",
        client_auth_type="RequireAndVerifyClientCert",
        client_allowed_sans=["prometheus.example", "10.1.2.3"],
        min_version="TLS13",
    )
    async with served(world, tls_server_config=tls):
        assert await refused(lambda: world.get(tls=trusting()))
        stranger = trusting(OTHER_CA.issue_cert("prometheus.example"))
        assert await refused(lambda: world.get(tls=stranger))
        assert (await world.get(tls=trusting(CA.issue_cert("other.example"))))[0] == 403
        for name in ("prometheus.example", "10.1.2.3"):
            assert (await world.get(tls=trusting(CA.issue_cert(name))))[0] == 200
        old = trusting(CA.issue_cert("prometheus.example"))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await refused(lambda: world.get(tls=old))


async def test_tls_that_is_taken_out_of_the_file_stays_until_a_restart(world: World) -> None:
    async with served(world, tls_server_config=world.tls()):
        world.write()
        assert (await world.get(tls=trusting()))[0] == 200
        os.utime(world.file)
        assert (await world.get(tls=trusting()))[0] == 200
