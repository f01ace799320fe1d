"""Connections of a probe: resolved, checked, connected and secured, each part timed."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.tracing import Trace
from typing_extensions import override

from exporter.clients.certificate import not_after
from exporter.ports import Resolver
from exporter.probe_port import Failure, Phase, Request, TlsFacts, TlsTerms
from exporter.shared.clock import Clock
from exporter.shared.errors import TransientError

TRIED = 3
"""Addresses of one name that are connected to, one after the other, until one takes us."""

LONGEST_LOOKUP = timedelta(minutes=5)
"""For the resolver; the probe's own deadline comes first."""


class ProbeFailedError(Exception):
    """The probe is over; never leaves exporter.clients."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure


class Trail:
    """What happened so far, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.began = clock.monotonic()
        self.phases: dict[Phase, float] = {}
        self.doing: Phase | None = None
        self.connections = 0
        self.address: str | None = None
        self.tls: TlsFacts | None = None
        self.log: list[str] = []

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._clock.monotonic()

    def seconds(self) -> float:
        """Return the time since the beginning."""
        return self.now() - self.began

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        """Time the body as part of `phase`; one that fails has not been gone through."""
        self.doing, began = phase, self.now()
        yield
        self.add(phase, self.now() - began)

    def add(self, phase: Phase, seconds: float) -> None:
        """Add time to a phase."""
        self.phases[phase] = self.phases.get(phase, 0.0) + seconds

    def say(self, text: str) -> None:
        """Note what happened."""
        self.log.append(f"{self.seconds() * 1000:9.1f} ms  {text}")


class Contexts:
    """TLS contexts, made in a thread: reading the system's certificates takes 40 ms."""

    def __init__(self) -> None:
        self._made: dict[tuple[TlsTerms, bool, float], ssl.SSLContext] = {}

    async def get(self, terms: TlsTerms, *, verify: bool) -> ssl.SSLContext:
        """Return a context; again when `ca_file` changed. Raises ProbeFailedError."""
        try:
            changed = await asyncio.to_thread(_changed, terms.ca_file)
            key = (terms, verify, changed)
            if key not in self._made:
                self._made = {k: v for k, v in self._made.items() if k[:2] != key[:2]}
                self._made[key] = await asyncio.to_thread(_context, terms, verify=verify)
        except OSError as error:  # ssl.SSLError too
            text = f"ca_file cannot be read: {error.strerror or type(error).__name__}"
            raise ProbeFailedError(Failure.FILE, text) from error
        return self._made[key]


def _changed(ca_file: Path | None) -> float:
    return ca_file.stat().st_mtime if ca_file else 0.0


def _context(terms: TlsTerms, *, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=terms.ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    versions = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
    context.minimum_version = versions[terms.at_least]
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialler(aiohttp.BaseConnector):
    """Makes the connections of one probe; none is used twice."""

    def __init__(
        self, request: Request, trail: Trail, resolver: Resolver, contexts: Contexts
    ) -> None:
        super().__init__(force_close=True)
        self._request = request
        self._trail = trail
        self._resolver = resolver
        self._contexts = contexts
        self._protocols: list[ResponseHandler] = []
        self.ready = 0.0
        """Monotonic time when the last connection could take a request."""

    def abort(self) -> None:
        """Drop every connection at once: nobody waits for the peer's goodbye."""
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.abort()

    @override
    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        host, port = req.url.raw_host or "", req.url.port or 0
        refusal = self._request.guard.host(host, port)
        if refusal:
            raise ProbeFailedError(Failure.NOT_ALLOWED, refusal)
        addresses = await self._addresses(host)
        if req.is_ssl():
            made = await self._secured(host, addresses, port)
        else:
            made = await self._upgraded(await self._connected(addresses, port))
        self.ready = self._trail.now()
        self._trail.doing = Phase.PROCESSING
        return made

    async def _addresses(self, host: str) -> list[str]:
        """Return the addresses of `host` that may be asked. Raises ProbeFailedError."""
        if _is_literal(host):
            found: Sequence[str] = [host]
        else:
            try:
                with self._trail.timed(Phase.RESOLVE):
                    found = await self._resolver.resolve(host, deadline=LONGEST_LOOKUP)
            except TransientError as error:
                raise ProbeFailedError(Failure.RESOLVE, str(error)) from error
            self._trail.say(f"{host} has {', '.join(found)}")
        wanted = [address for address in found if self._is_wanted(address)]
        if not wanted:
            raise ProbeFailedError(Failure.RESOLVE, f"{host} has no {self._request.family} address")
        refusals = [self._request.guard.address(address) for address in wanted]
        allowed = [each for each, why in zip(wanted, refusals, strict=True) if why is None]
        if not allowed:
            raise ProbeFailedError(Failure.NOT_ALLOWED, str(refusals[0]))
        return allowed

    def _is_wanted(self, address: str) -> bool:
        family = self._request.family
        return family == "any" or (":" in address) == (family == "ipv6")

    async def _connected(self, addresses: Sequence[str], port: int) -> socket.socket:
        """Return a socket that is connected to the first address that takes us."""
        error: OSError | None = None
        for address in addresses[:TRIED]:
            self._trail.address = address
            try:
                with self._trail.timed(Phase.CONNECT):
                    made = await _connect(address, port)
            except OSError as refusal:
                error = refusal
                self._trail.say(f"{address} port {port}: {_words(refusal)}")
            else:
                self._trail.connections += 1
                self._trail.say(f"connected to {address} port {port}")
                return made
        raise ProbeFailedError(Failure.CONNECT, _words(error)) from error

    async def _secured(self, host: str, addresses: Sequence[str], port: int) -> ResponseHandler:
        """Return a connection with TLS.

        A certificate that cannot be verified is looked at on a second connection: when does it end?
        """
        terms = self._request.tls
        context = await self._contexts.get(terms, verify=True)
        raw = await self._connected(addresses, port)
        name = terms.server_name or host
        try:
            with self._trail.timed(Phase.TLS):
                made = await self._upgraded(raw, context, name)
        except ProbeFailedError as error:
            if error.failure is not Failure.CERTIFICATE:
                raise
            self._trail.say(f"the certificate is not verified: {error}")
            self._trail.tls = TlsFacts("", verified=False, expires=None)
            try:
                made = await self._unverified(name, port)
            except (ProbeFailedError, OSError):
                raise error from None  # what was wrong first
            self._trail.tls = _facts(made, verified=False)
            if terms.verify:
                raise
            return made
        self._trail.tls = _facts(made, verified=True)
        self._trail.say(f"{self._trail.tls.version}, certificate verified")
        return made

    async def _unverified(self, name: str, port: int) -> ResponseHandler:
        """Connect once more to the last address; the time counts where the request goes on."""
        terms = self._request.tls
        context = await self._contexts.get(terms, verify=False)
        raw = await _connect(self._trail.address or "", port)
        began = self._trail.now()
        made = await self._upgraded(raw, context, name)
        if not terms.verify:
            self._trail.add(Phase.TLS, self._trail.now() - began)
        return made

    async def _upgraded(
        self, raw: socket.socket, context: ssl.SSLContext | None = None, name: str | None = None
    ) -> ResponseHandler:
        """Hand a socket to aiohttp, with TLS where there is a context."""
        try:
            _, made = await self._loop.create_connection(
                self._factory, sock=raw, ssl=context, server_hostname=name
            )
        except ssl.SSLCertVerificationError as error:
            raise ProbeFailedError(Failure.CERTIFICATE, error.verify_message) from error
        except ssl.SSLError as error:
            text = f"no TLS: {error.reason or type(error).__name__}"
            raise ProbeFailedError(Failure.TLS, text) from error
        except OSError as error:
            text = f"the connection broke off: {_words(error)}"
            raise ProbeFailedError(Failure.TLS if context else Failure.CONNECT, text) from error
        self._protocols.append(made)
        return made


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _connect(address: str, port: int) -> socket.socket:
    """Connect by TCP. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)  # noqa: FBT003 - the standard library's own
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made


def _facts(made: ResponseHandler, *, verified: bool) -> TlsFacts:
    """Return what a connection's TLS turned out to be."""
    secured = made.transport.get_extra_info("ssl_object") if made.transport else None
    if not isinstance(secured, ssl.SSLObject):
        return TlsFacts("", verified=verified, expires=None)
    der = secured.getpeercert(binary_form=True)
    return TlsFacts(secured.version() or "", verified, not_after(der) if der else None)


def _words(error: OSError | None) -> str:
    """Say an error of the system without what it was about."""
    if error is None:
        return "no address to connect to"
    return error.strerror or type(error).__name__
