"""Settings of probes: modules (what is asked and expected), targets, and who else may ask."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from exporter.probe_port import TlsTerms
from exporter.probes.allow import HOST_PATTERN, AllowList
from exporter.probes.judge import Expectation
from exporter.shared.config import Duration, SecretFile, Section, filled_in, nearest

DEFAULT_MODULE = "http_2xx"
"""Module that is there without being written, as blackbox_exporter's example has it."""


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    return value


def _listed(value: object) -> object:
    """Take `200`, `"2.."` and `[200, 204]` alike."""
    values = value if isinstance(value, list | tuple) else [value]
    return tuple(str(each) if isinstance(each, int) else each for each in values)


Expression = Annotated[str, AfterValidator(_expression)]
Statuses = Annotated[tuple[Expression, ...], BeforeValidator(_listed, json_schema_input_type=str)]


class Tls(Section):
    """How a TLS connection is made."""

    verify: bool = True
    """Whether the probe fails when the certificate cannot be verified."""
    ca_file: Path | None = None
    """Certificates to trust (PEM), by default the system's; read again when the file changes."""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    """Oldest version that is accepted."""
    server_name: str = ""
    """Name that the certificate must have, by default the URL's host."""

    def terms(self) -> TlsTerms:
        """Return what the prober is given of it."""
        return TlsTerms(self.verify, self.ca_file, self.min_version, self.server_name)


class Module(Section):
    """How targets are asked, and which answer is a good one."""

    method: Literal["GET", "HEAD"] = "GET"
    """The request's method."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers to send."""
    header_files: dict[str, SecretFile] = Field(default_factory=dict)
    """Headers whose value is in a file: read for each probe, and not sent to another origin."""
    redirects: int = Field(default=0, ge=0, le=10)
    """How many redirects are followed; with 0 a redirect is an answer like any other."""
    ip_protocol: Literal["any", "ipv4", "ipv6"] = "any"
    """Family of the addresses that are connected to."""
    tls: Tls = Tls()
    """How a TLS connection is made."""
    timeout: Duration = timedelta(seconds=5)
    """Time that the target has to answer."""
    max_bytes: int = Field(default=1024 * 1024, ge=0)
    """Longest body; a longer one fails the probe."""
    status: Statuses = ("2..",)
    """Regular expressions, one of which matches the status whole; `[200, 401]` will do."""
    expect_headers: dict[str, Expression] = Field(default_factory=dict)
    """By header: regular expression that its value matches somewhere."""
    body_matches: tuple[Expression, ...] = ()
    """Regular expressions that all match somewhere in the body."""
    body_forbids: tuple[Expression, ...] = ()
    """Regular expressions none of which does."""
    require_tls: bool = False
    """Whether the probe fails when the (last) connection has no TLS."""

    def expectation(self) -> Expectation:
        """Return what a good answer is."""
        return Expectation(
            self.status,
            self.expect_headers,
            self.body_matches,
            self.body_forbids,
            self.require_tls,
        )


class Target(Section):
    """One address that is asked."""

    model_config = ConfigDict(json_schema_extra=filled_in("service", "workload"))

    name: str
    """Name of the source, and value of the label `probe`."""
    url: str | None = Field(default=None, pattern="^https?://[^/]")
    """What is asked, on a new connection each time."""
    service: str | None = Field(default=None, pattern="^[a-z0-9-]+/[a-z0-9-]+$")
    """NAMESPACE/NAME of a Service instead: what its load balancer serves is asked."""
    scheme: Literal["http", "https"] = "http"
    """Of a Service's URL."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Of a Service's URL, by default the Service's first one."""
    path: str = Field(default="/", pattern="^/")
    """Of a Service's URL."""
    namespace: str = "default"
    """Namespace of the workload behind the address; by default the Service's."""
    workload: str
    """Workload that is behind the address; by default it is called as the Service is."""
    workload_type: Literal["deployment", "statefulset", "daemonset"] = "deployment"
    """Kind of the workload."""
    module: str = DEFAULT_MODULE
    """How it is asked, and which answer is a good one."""
    interval: Duration = timedelta(seconds=10)
    """Time between two probes."""
    timeout: Duration | None = None
    """Time that the target has to answer, by default the module's."""

    @model_validator(mode="before")
    @classmethod
    def _as_the_service(cls, value: object) -> object:
        service = value.get("service") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(service, str):
            return value
        namespace, _, name = service.partition("/")
        return {"namespace": namespace, "workload": name, **value}

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.url is None) == (self.service is None):
            raise ValueError("give it either a url or a service")
        return self

    @property
    def subject(self) -> tuple[str, str, str]:
        """Namespace, workload and workload_type."""
        return self.namespace, self.workload, self.workload_type


class OnDemand(Section):
    """What `GET /probe?target=` may ask; by default nothing."""

    targets: tuple[str, ...] = ()
    """Names of targets of these settings; `"*"` is all of them."""
    hosts: tuple[str, ...] = ()
    """Hosts of URLs: `name`, `*.name`, each with `:port` where only that one is meant."""
    networks: tuple[str, ...] = ()
    """Networks (CIDR) that these hosts' addresses must be in. Loopback has to be named itself, and
    the addresses of metadata services are refused even then."""
    at_once: int = Field(default=10, ge=1)
    """Most probes on demand at the same time; more are answered 503."""

    @field_validator("hosts")
    @classmethod
    def _are_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        lowered = tuple(host.lower() for host in value)
        for host in lowered:
            if not HOST_PATTERN.fullmatch(host):
                raise ValueError(f"{host!r} is no host; write it as name, *.name or name:port")
        return lowered

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)  # its ValueError says what is wrong
        return value

    def guard(self) -> AllowList:
        """Return who may be asked by URL."""
        return AllowList(self.hosts, [ipaddress.ip_network(each) for each in self.networks])


class Settings(Section):
    """What is probed."""

    targets: tuple[Target, ...] = ()
    """The addresses that are asked."""
    modules: dict[str, Module] = Field(default_factory=dict)
    """Ways to ask; `http_2xx` is there by itself, with every default."""
    on_demand: OnDemand = OnDemand()
    """What `GET /probe?target=` may ask; by default nothing."""
    window: Duration = timedelta(minutes=5)
    """Time that the KPIs of the morning check look back."""

    @model_validator(mode="after")
    def _names_are_there(self) -> Self:
        names = [target.name for target in self.targets]
        _check(self.modules_by_name(), (target.module for target in self.targets), "module")
        _check([*names, "*"], self.on_demand.targets, "target")
        return self

    def modules_by_name(self) -> Mapping[str, Module]:
        """Return every module, the default one too."""
        return {DEFAULT_MODULE: Module(), **self.modules}


def _check(known: Iterable[str], said: Iterable[str], noun: str) -> None:
    """Raise ValueError for a name that is not known."""
    names = list(known)
    for name in said:
        if name not in names:
            raise ValueError(f"{name!r} is no {noun}; {nearest(name, names)}")
