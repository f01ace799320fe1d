"""Prometheus' web configuration file: TLS, users, headers and rate of an HTTP server.

The format is exporter-toolkit's (docs/web-configuration.md there), so that one file does for all
exporters. What Python's TLS cannot do is refused with the reason, never left out silently.
"""

import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from exporter.shared.config import ConfigError, Duration, Problem, Section, load_yaml, validate

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}

CLIENT_AUTH = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")

CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{name}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for name, openssl in {
        "AES_128_CBC_SHA": "AES128-SHA",
        "AES_256_CBC_SHA": "AES256-SHA",
        "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
        "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
        "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
    }.items()
}
"""Go's names (crypto/tls.CipherSuites) of TLS 1.2, and OpenSSL's."""

TLS13_CIPHERS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Allowed in the list and without effect, as in Go."""

CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}

HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""Headers that may be set, with their values where only some make sense."""


class TlsServer(Section):
    """`tls_server_config`: without a certificate there is no TLS."""

    cert: str = ""
    key: str = Field(default="", repr=False)
    client_ca: str = ""
    """The same as the files, as PEM text."""
    cert_file: Path | None = None
    key_file: Path | None = None
    client_auth_type: str = ""
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    """Names of which a client's certificate must carry one: DNS, IP, e-mail or URI."""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()

    @property
    def is_there(self) -> bool:
        """Say whether TLS is wanted."""
        certificate = self.cert or self.cert_file or self.key or self.key_file
        return bool(certificate or self.client_ca or self.client_ca_file or self.client_auth_type)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if not self.is_there:
            return self
        if bool(self.cert) == bool(self.cert_file) or bool(self.key) == bool(self.key_file):
            raise ValueError("give it one of cert and cert_file, and one of key and key_file")
        verifies = CLIENT_AUTH[self.client_auth_type] is not ssl.CERT_NONE
        if verifies != bool(self.client_ca or self.client_ca_file):
            raise ValueError("a client CA and a client_auth_type that verifies need each other")
        required = CLIENT_AUTH[self.client_auth_type] is ssl.CERT_REQUIRED
        if self.client_allowed_sans and not required:
            raise ValueError(
                "client_allowed_sans wants client_auth_type RequireAndVerifyClientCert"
            )
        return self

    @field_validator("client_auth_type")
    @classmethod
    def _can_be_done(cls, value: str) -> str:
        if value in UNVERIFIED:
            raise ValueError(
                f"{value} takes certificates unverified, which Python's TLS cannot; "
                "use RequireAndVerifyClientCert"
            )
        if value not in CLIENT_AUTH:
            raise ValueError(f"{value!r} is not one of {', '.join(filter(None, CLIENT_AUTH))}")
        return value

    @field_validator("cipher_suites")
    @classmethod
    def _are_ciphers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in CIPHERS and name not in TLS13_CIPHERS:
                raise ValueError(f"{name!r} is not one of {', '.join(CIPHERS)}")
        return value

    @field_validator("curve_preferences")
    @classmethod
    def _is_a_curve(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) > 1:
            raise ValueError("name one curve, or none: Python's TLS takes no list of them")
        for name in value:
            if name not in CURVES:
                raise ValueError(f"{name!r} is not one of {', '.join(CURVES)}")
        return value


class HttpServer(Section):
    """`http_server_config`."""

    http2: bool = True
    """Without effect: what is served is HTTP/1.1, which every client of HTTP/2 speaks too."""
    headers: dict[str, str] = Field(default_factory=dict)

    @field_validator("headers")
    @classmethod
    def _may_be_set(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if name not in HEADERS:
                raise ValueError(f"{name} cannot be set; these can: {', '.join(HEADERS)}")
            if text and HEADERS[name] and text not in HEADERS[name]:
                raise ValueError(f"{name} is one of {', '.join(HEADERS[name])}")
            if "\r" in text or "\n" in text:
                raise ValueError(f"{name} is longer than a line")
        return value


class RateLimit(Section):
    """`rate_limit`: a token bucket for all requests together."""

    interval: Duration = timedelta(0)
    """Time in which one request more is allowed; 0 is no limit."""
    burst: int = Field(default=1, ge=1)


class WebConfigFile(Section):
    """The whole file."""

    tls_server_config: TlsServer = TlsServer()
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: dict[str, str] = Field(default_factory=dict, repr=False)
    """User → bcrypt hash of the password."""
    rate_limit: RateLimit = RateLimit()

    @field_validator("basic_auth_users")
    @classmethod
    def _are_hashes(cls, value: dict[str, str]) -> dict[str, str]:
        for user, hashed in value.items():
            if not hashed.startswith(("$2a$", "$2b$", "$2y$")) or len(hashed) != 60:
                raise ValueError(
                    f"the password of {user} is no bcrypt hash; try `htpasswd -nBC 10`"
                )
        return value


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the file says, with its TLS ready for use."""

    file: WebConfigFile
    tls: ssl.SSLContext | None
    watched: Sequence[Path]
    """The file, and those that it names."""

    @classmethod
    def read(cls, path: Path) -> "WebConfig":
        """Read the file and the certificates that it names. Raises ConfigError."""
        document = load_yaml(path)
        file = validate(WebConfigFile, document)
        tls = file.tls_server_config
        named = [tls.cert_file, tls.key_file, tls.client_ca_file]
        files = [path.parent / name if name else None for name in named]
        try:
            context = _context(tls, *files) if tls.is_there else None
        except (OSError, ssl.SSLError, ValueError) as error:  # neither names a key's content
            told = f"TLS cannot be set up: {error}"
            where = document.position(("tls_server_config",), key=True)
            raise ConfigError([Problem(str(path), *where, told)]) from error
        return cls(file, context, [path, *filter(None, files)])


def _context(
    tls: TlsServer, cert_file: Path | None, key_file: Path | None, ca_file: Path | None
) -> ssl.SSLContext:
    """Return a server's context. Raises OSError, which ssl.SSLError is, or ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[tls.min_version]
    context.maximum_version = VERSIONS[tls.max_version]
    with _as_file(tls.cert, cert_file) as cert, _as_file(tls.key, key_file) as key:
        context.load_cert_chain(cert, key, password=_no_password)
    if tls.client_ca or ca_file:
        context.load_verify_locations(cafile=ca_file, cadata=tls.client_ca or None)
    context.verify_mode = CLIENT_AUTH[tls.client_auth_type]
    ciphers = [CIPHERS[name] for name in tls.cipher_suites if name in CIPHERS]
    if ciphers:
        context.set_ciphers(":".join(ciphers))
    for curve in tls.curve_preferences:
        context.set_ecdh_curve(CURVES[curve])
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _no_password() -> str:
    """Refuse a key that is encrypted: OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted: give it without a password")


class _as_file:  # noqa: N801 - a context manager that reads as a function
    """Give PEM text a path while the block runs; what is a file already is its own."""

    def __init__(self, text: str, path: Path | None) -> None:
        self._text = text
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> str:
        if self._path is not None:
            return str(self._path)
        self._descriptor = os.memfd_create("pem")
        os.write(self._descriptor, self._text.encode())
        return f"/proc/self/fd/{self._descriptor}"

    def __exit__(self, *_error: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
