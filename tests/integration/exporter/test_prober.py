"""Probes against real sockets and real TLS: how far they came, and how long each part took."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from exporter.clients.prober import HttpProber
from exporter.probe_port import Exchange, Failure, Phase, Request, TlsTerms
from exporter.probes.allow import AllowList, Configured
from exporter.shared.clock import SystemClock
from tests.bed.process import free_port
from tests.bed.web_server import raw_server, web_server
from tests.fake_clients import FakeResolver

DEADLINE = timedelta(seconds=5)
SHORT = timedelta(milliseconds=200)
EXPIRED = datetime(2025, 6, 1, 12, tzinfo=UTC)


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello", headers={"X-Version": "v3"})


async def slow(request: web.Request) -> web.StreamResponse:
    """Take 60 ms for the headers and 60 ms more for the body."""
    await asyncio.sleep(0.06)
    answer = web.StreamResponse()
    await answer.prepare(request)
    await asyncio.sleep(0.06)
    await answer.write(b"done")
    return answer


async def hang(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def big(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 100_000)


async def echo(request: web.Request) -> web.Response:
    return web.json_response({"method": request.method, **request.headers})


async def loop(_: web.Request) -> web.Response:
    raise web.HTTPFound("/loop")


async def away(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": request.query["to"]})


ROUTES = {
    "/": hello,
    "/slow": slow,
    "/hang": hang,
    "/big": big,
    "/echo": echo,
    "/loop": loop,
    "/away": away,
}


@pytest.fixture
def resolver() -> FakeResolver:
    found = FakeResolver()
    found.names = {
        "shop.test": ["127.0.0.1"],
        "six.test": ["::1"],
        "meta.test": ["169.254.169.254"],
    }
    return found


@pytest.fixture
def prober(resolver: FakeResolver) -> HttpProber:
    return HttpProber(SystemClock(), resolver)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with web_server(ROUTES) as found:
        yield found


def request(url: str, **more: object) -> Request:
    return replace(Request(url, Configured()), **more)  # type: ignore[arg-type]  # a table's


async def ask(prober: HttpProber, url: str, **more: object) -> Exchange:
    return await prober.ask(request(url, **more), DEADLINE)


async def test_an_answer_comes_with_every_phase_it_went_through(
    prober: HttpProber, port: int
) -> None:
    found = await ask(prober, f"http://shop.test:{port}/slow")
    assert (found.failure, found.status, found.body, found.version) == (None, 200, b"done", "1.1")
    assert list(found.phases) == ["resolve", "connect", "processing", "transfer"]
    assert found.phases[Phase.PROCESSING] >= 0.05
    assert found.phases[Phase.TRANSFER] >= 0.05
    assert 0 < found.phases[Phase.CONNECT] < 0.05
    assert sum(found.phases.values()) <= found.seconds < 3
    assert found.address == "127.0.0.1"
    assert found.tls is None


async def test_a_literal_address_is_not_resolved(prober: HttpProber, port: int) -> None:
    assert Phase.RESOLVE not in (await ask(prober, f"http://127.0.0.1:{port}/")).phases


async def test_head_and_headers_are_sent(prober: HttpProber, port: int) -> None:
    url = f"http://shop.test:{port}/echo"
    found = await ask(prober, url, headers={"X-A": "1"}, secrets={"Authorization": "Bearer geheim"})
    assert b'"X-A": "1"' in found.body
    assert b'"Authorization": "Bearer geheim"' in found.body
    assert b'"User-Agent": "runbookd-exporter"' in found.body
    head = await ask(prober, url, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("path", "more", "failure", "phase"),
    [
        ("/hang", {}, Failure.TIMEOUT, "processing"),
        ("/big", {"max_bytes": 1000}, Failure.TOO_LONG, "1000 bytes"),
        ("/loop", {"redirects": 3}, Failure.REDIRECTS, "more than 3"),
        ("/away?to=ftp://shop.test/", {"redirects": 1}, Failure.NOT_ALLOWED, "http and https"),
        ("/away?to=http://[", {"redirects": 1}, Failure.REDIRECTS, "no address"),
        ("/", {"headers": {"X": "a\nb"}}, Failure.NOT_ALLOWED, "request that can be made"),
    ],
)
async def test_what_went_wrong_has_a_reason_and_says_where(
    prober: HttpProber, port: int, path: str, more: dict[str, object], failure: str, phase: str
) -> None:
    found = await prober.ask(request(f"http://shop.test:{port}{path}", **more), SHORT)
    assert found.failure == failure
    assert phase in found.detail
    assert phase in found.log[-1]


@pytest.mark.parametrize(
    ("url", "failure"),
    [
        ("http://nobody.test/", Failure.RESOLVE),
        ("http://shop.test:{free}/", Failure.CONNECT),
        ("http://meta.test/latest/meta-data", Failure.NOT_ALLOWED),
        ("http://[::ffff:169.254.169.254]/", Failure.NOT_ALLOWED),
        ("http://", Failure.NOT_ALLOWED),
        ("ftp://shop.test/", Failure.NOT_ALLOWED),
        ("nonsense", Failure.NOT_ALLOWED),
        ("http://shop.test:99999/", Failure.NOT_ALLOWED),
    ],
)
async def test_an_address_that_cannot_be_asked_is_a_failure_of_its_own(
    prober: HttpProber, url: str, failure: str
) -> None:
    found = await ask(prober, url.format(free=free_port()))
    assert found.failure == failure
    assert found.status is None


async def test_the_family_of_addresses_can_be_chosen(
    prober: HttpProber, resolver: FakeResolver, port: int
) -> None:
    resolver.names["both.test"] = ["::1", "127.0.0.1"]
    url = f"http://both.test:{port}/"
    assert (await ask(prober, url, family="ipv4")).status == 200
    assert (await ask(prober, url, family="ipv6")).failure == Failure.CONNECT
    assert (await ask(prober, url)).status == 200, "the next address takes us"
    none = await ask(prober, f"http://six.test:{port}/", family="ipv4")
    assert none.failure == Failure.RESOLVE


async def test_a_peer_that_hangs_up_or_speaks_no_http_is_a_failure_of_protocol(
    prober: HttpProber,
) -> None:
    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.test ESMTP\r\n")

    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    for talk in (silent, strange, short):
        async with raw_server(talk) as number:
            found = await ask(prober, f"http://127.0.0.1:{number}/")
            assert found.failure == Failure.PROTOCOL, talk.__name__


async def test_secrets_do_not_follow_a_redirect_to_another_origin(
    prober: HttpProber, port: int
) -> None:
    async with web_server(ROUTES) as other:
        for target, sent in ((port, True), (other, False)):
            to = f"http://shop.test:{target}/echo"
            found = await ask(
                prober,
                f"http://shop.test:{port}/away?to={to}",
                redirects=1,
                secrets={"Authorization": "geheim"},
            )
            assert (found.status, found.redirects, found.connections) == (200, 1, 2)
            assert (b"geheim" in found.body) is sent


async def test_redirects_and_names_are_checked_again_where_they_lead(
    prober: HttpProber, resolver: FakeResolver, port: int
) -> None:
    guard = AllowList(["shop.test", "*.shop.test"], [ipaddress.ip_network("127.0.0.0/8")])
    resolver.names["a.shop.test"] = ["10.0.0.1"]
    assert (await ask(prober, f"http://shop.test:{port}/", guard=guard)).status == 200
    for to in ("http://six.test/", f"http://127.0.0.1:{port}/", "http://a.shop.test/"):
        url = f"http://shop.test:{port}/away?to={to}"
        found = await ask(prober, url, guard=guard, redirects=2)
        assert found.failure == Failure.NOT_ALLOWED, to


class Authority:
    """A certificate authority that `ca_file` names, and servers with its certificates."""

    def __init__(self, root: Path) -> None:
        self._authority = trustme.CA()
        self.ca_file = root / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))

    def server(self, name: str = "shop.test", *, ends: datetime | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        begins = datetime(2025, 1, 1, tzinfo=UTC)
        issued = self._authority.issue_cert(name, not_before=begins, not_after=ends)
        issued.configure_cert(context)
        return context

    def terms(self, **more: object) -> TlsTerms:
        return replace(TlsTerms(ca_file=self.ca_file), **more)  # type: ignore[arg-type]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_verified_certificate_tells_its_end_and_the_handshake_its_time(
    prober: HttpProber, authority: Authority
) -> None:
    ends = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    async with web_server(ROUTES, tls=authority.server(ends=ends)) as number:
        found = await ask(prober, f"https://shop.test:{number}/", tls=authority.terms())
    assert (found.failure, found.status) == (None, 200)
    assert found.tls is not None
    assert (found.tls.version, found.tls.verified, found.tls.expires) == ("TLSv1.3", True, ends)
    assert list(found.phases) == ["resolve", "connect", "tls", "processing", "transfer"]
    assert found.phases[Phase.TLS] > 0


@pytest.mark.parametrize(
    ("name", "ends", "trusts", "words"),
    [
        ("shop.test", EXPIRED, "ca.pem", "expired"),
        ("other.test", datetime(2051, 1, 1, tzinfo=UTC), "ca.pem", "mismatch"),
        ("shop.test", datetime(2030, 1, 1, tzinfo=UTC), "stranger.pem", "issuer"),
    ],
)
async def test_a_certificate_that_cannot_be_verified_still_tells_its_end(
    prober: HttpProber, authority: Authority, name: str, ends: datetime, trusts: str, words: str
) -> None:
    ca_file = authority.ca_file.with_name(trusts)
    trustme.CA().cert_pem.write_to_path(str(authority.ca_file.with_name("stranger.pem")))
    async with web_server(ROUTES, tls=authority.server(name, ends=ends)) as number:
        url = f"https://shop.test:{number}/"
        found = await ask(prober, url, tls=TlsTerms(ca_file=ca_file))
        assert found.failure == Failure.CERTIFICATE
        assert words in found.detail
        assert found.tls is not None
        assert (found.tls.verified, found.tls.expires) == (False, ends)
        assert Phase.TLS not in found.phases
        lax = await ask(prober, url, tls=TlsTerms(verify=False, ca_file=ca_file))
        assert (lax.failure, lax.status) == (None, 200)
        assert lax.tls == found.tls
        assert lax.phases[Phase.TLS] > 0


async def test_the_name_a_certificate_is_for_can_be_another_one(
    prober: HttpProber, authority: Authority
) -> None:
    async with web_server(ROUTES, tls=authority.server("other.test")) as number:
        terms = authority.terms(server_name="other.test")
        assert (await ask(prober, f"https://127.0.0.1:{number}/", tls=terms)).status == 200


async def test_an_old_tls_version_is_refused(prober: HttpProber, authority: Authority) -> None:
    context = authority.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with web_server(ROUTES, tls=context) as number:
        url = f"https://shop.test:{number}/"
        found = await ask(prober, url, tls=authority.terms())
        assert found.tls is not None
        assert found.tls.version == "TLSv1.2"
        refused = await ask(prober, url, tls=authority.terms(at_least="TLS13"))
        assert refused.failure == Failure.TLS


async def test_a_peer_without_tls_and_one_that_never_answers_are_told_apart(
    prober: HttpProber, authority: Authority, port: int
) -> None:
    terms = authority.terms()
    plain = await ask(prober, f"https://shop.test:{port}/", tls=terms)
    assert plain.failure == Failure.TLS

    async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with raw_server(never) as number:
        late = await prober.ask(request(f"https://shop.test:{number}/", tls=terms), SHORT)
    assert (late.failure, Phase.TLS in late.phases) == (Failure.TIMEOUT, False)
    assert "phase tls" in late.detail


async def test_a_ca_file_is_read_again_when_it_changes_and_missed_when_it_is_gone(
    prober: HttpProber, authority: Authority, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    terms = TlsTerms(ca_file=other)
    async with web_server(ROUTES, tls=authority.server()) as number:
        url = f"https://shop.test:{number}/"
        unread = await ask(prober, url, tls=terms)
        assert unread.failure is Failure.FILE
        assert unread.detail.startswith("ca_file cannot be read")
        trustme.CA().cert_pem.write_to_path(str(other))
        assert (await ask(prober, url, tls=terms)).failure == Failure.CERTIFICATE
        other.write_bytes(authority.ca_file.read_bytes())
        assert (await ask(prober, url, tls=terms)).status == 200


async def test_nothing_that_could_be_secret_is_told(prober: HttpProber, port: int) -> None:
    url = f"http://user:geheim@shop.test:{port}/away?to=/hang?token=geheim"
    found = await prober.ask(request(url, redirects=1, secrets={"X-Token": "geheim"}), SHORT)
    assert found.failure == Failure.TIMEOUT
    assert "geheim" not in found.detail + "".join(found.log)
    assert "geheim" not in repr(Request(url, Configured(), secrets={"A": "geheim"})).replace(
        url, ""
    )
