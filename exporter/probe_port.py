"""The port for probes: one HTTP request on new connections, timed phase by phase."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol


class Phase(StrEnum):
    """The parts of a request, in their order and under blackbox_exporter's names."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    """TCP alone."""
    TLS = "tls"
    PROCESSING = "processing"
    """From the connection to the answer's headers."""
    TRANSFER = "transfer"
    """The answer's body."""


class Failure(StrEnum):
    """Why a probe did not succeed."""

    RESOLVE = "resolve"
    """The name has no address, or none of the wanted family."""
    CONNECT = "connect"
    """Refused, or no way there."""
    TIMEOUT = "timeout"
    TLS = "tls"
    CERTIFICATE = "certificate"
    PROTOCOL = "protocol"
    """The peer hung up, or what it said is no HTTP."""
    TOO_LONG = "too_long"
    REDIRECTS = "redirects"
    """More of them than may be followed, or one to nowhere."""
    NOT_ALLOWED = "not_allowed"
    """An address that may not be asked."""
    FILE = "file"
    """A file for the probe, of a header or of certificates, cannot be read: nobody was asked."""
    STATUS = "status"
    HEADER = "header"
    BODY = "body"
    PLAIN = "plain"
    """No TLS where it is required."""


class Guard(Protocol):
    """Says what may be asked; each returns why not, or None."""

    def host(self, host: str, port: int) -> str | None:
        """Judge the host of a URL, also of one that was redirected to."""
        ...

    def address(self, address: str) -> str | None:
        """Judge an IP address that a host was resolved to, before it is connected to."""
        ...


@dataclass(frozen=True, slots=True)
class TlsTerms:
    """What is asked of a TLS connection."""

    verify: bool = True
    """False: a certificate that cannot be verified is noted, and the request made all the same."""
    ca_file: Path | None = None
    """Certificates to trust, by default the system's."""
    at_least: Literal["TLS12", "TLS13"] = "TLS12"
    server_name: str = ""
    """Name the certificate is for, by default the URL's host."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and of whom."""

    url: str
    guard: Guard
    method: Literal["GET", "HEAD"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers for the URL's own origin alone: a redirect elsewhere does not get them."""
    redirects: int = 0
    """How many are followed."""
    family: Literal["any", "ipv4", "ipv6"] = "any"
    tls: TlsTerms = TlsTerms()
    max_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What a TLS connection turned out to be."""

    version: str
    """`TLSv1.3`."""
    verified: bool
    expires: datetime | None
    """When the server's own certificate ends; None when that cannot be read."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What became of a request: how far it came, and how long each part took."""

    seconds: float
    failure: Failure | None = None
    detail: str = ""
    """The failure in words, without anything that could be secret."""
    status: int | None = None
    version: str = ""
    """HTTP version of the answer: `1.1`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    phases: Mapping[Phase, float] = field(default_factory=dict)
    """Seconds, summed over the hops of a redirected request; a phase not reached is absent."""
    redirects: int = 0
    connections: int = 1
    """How many connections the time of phase `connect` is made of."""
    address: str | None = None
    """IP address of the last connection."""
    tls: TlsFacts | None = None
    """Of the last connection; None without TLS, or when the handshake was not reached."""
    log: Sequence[str] = ()
    """What happened when, for people."""


class Prober(Protocol):
    """Makes requests, each on connections of its own."""

    async def ask(self, request: Request, deadline: timedelta) -> Exchange:
        """Make a request. Whatever goes wrong outside is a failure of the exchange, no error."""
        ...
