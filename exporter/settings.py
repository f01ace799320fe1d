"""The exporter's settings: one YAML file, overridden by `EXPORTER__SECTION__KEY` variables."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self, cast

from prometheus_client.parser import text_string_to_metric_families
from pydantic import ConfigDict, Field, create_model, field_validator, model_validator

from exporter.application import Application, Gauge, Saturation
from exporter.contract import CollectorSpec
from exporter.shard import Shard
from exporter.shared.config import (
    ConfigError,
    Duration,
    Problem,
    Section,
    filled_in,
    nearest,
)

PREFIX = "EXPORTER__"

PRESETS: Mapping[str, Mapping[str, str]] = {
    # `Instrumentator().add(metrics.latency())`; its default metrics know no status by route.
    "prometheus-fastapi-instrumentator": {
        "histogram": "http_request_duration_seconds",
        "status_label": "status",
        "route_label": "handler",
    },
    "starlette_exporter": {
        "histogram": "starlette_request_duration_seconds",
        "status_label": "status_code",
        "route_label": "path",
    },
    "prometheus-flask-exporter": {
        "histogram": "flask_http_request_duration_seconds",
        "status_label": "status",
        "route_label": "path",
    },
    # `includePath: true`
    "express-prom-bundle": {
        "histogram": "http_request_duration_seconds",
        "status_label": "status_code",
        "route_label": "path",
    },
    "micrometer": {
        "histogram": "http_server_requests_seconds",
        "status_label": "status",
        "route_label": "uri",
    },
    "opentelemetry": {
        "histogram": "http_server_request_duration_seconds",
        "status_label": "http_response_status_code",
        "route_label": "http_route",
    },
}
"""Names that common libraries give their request histogram and its labels."""


class Listen(Section):
    """Where the HTTP server listens."""

    address: str = "0.0.0.0"  # noqa: S104 - Prometheus scrapes the pod; nothing here changes anything
    """Address to bind."""
    port: int = Field(default=9842, ge=0, le=65535)
    """Port to bind; 0 takes a free one and logs it."""


class Web(Section):
    """The HTTP server, beyond where it listens; each can be said by a flag of `serve`, too."""

    listen_addresses: tuple[str, ...] = ()
    """Addresses to bind instead of `listen`: `:9842`, `127.0.0.1:9842`, `[::1]:9842`."""
    config_file: Path | None = None
    """Prometheus' web configuration file: TLS, users, headers, rate. It is followed while it runs.
    """
    telemetry_path: str = Field(default="/metrics", pattern="^/.+")
    """Path of the metrics."""
    enable_lifecycle: bool = False
    """Whether `POST /-/reload` makes the exporter read its settings anew, as SIGHUP does."""
    max_requests: int = Field(default=40, ge=1)
    """Most scrapes at once; one more is told to come again. node_exporter's default."""

    @field_validator("listen_addresses")
    @classmethod
    def _can_be_bound(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            host_and_port(address)
        return value


def host_and_port(address: str) -> tuple[str | None, int]:
    """Read `host:port`; without a host, None: every address. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bracketed = host != bare
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in bare) != bracketed:
        raise ValueError(f"{address!r} is not an address; write it as :9842, host:9842, [::1]:9842")
    return bare or None, int(port)


class ShardSettings(Section):
    """One of several exporters that share the work; all have the same settings but for `index`."""

    total: int = Field(default=1, ge=1)
    """How many exporters there are."""
    index: int | None = Field(default=None, ge=0)
    """Which of them this is, from 0; by default the number at the end of the host's name, as pods
    of a StatefulSet have it."""

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.index is not None and self.index >= self.total:
            raise ValueError(f"index {self.index} is not below total {self.total}")
        return self

    def shard(self, host_name: str) -> Shard:
        """Return the shard of this process. Raises ConfigError when the name has no number."""
        index = self.index
        if index is None and self.total > 1:
            found = re.search(r"-(\d+)$", host_name)
            if found is None:
                message = f'"{host_name}" does not end in a number: set shard.index'
                raise ConfigError([Problem("shard", 0, 0, message)])
            index = int(found[1])
            if index >= self.total:
                message = f"{host_name} is no shard of {self.total}: raise shard.total"
                raise ConfigError([Problem("shard", 0, 0, message)])
        return Shard(index or 0, self.total)


class SaturationSettings(Section):
    """A resource of an application that can be used up: requests in flight, a pool."""

    resource: str
    """What it is called: `in_flight`, `db_pool`."""
    used: str
    """Gauge of what is used: a name, or a selector like `pool{state="used"}`; series are summed."""
    limit: float | str | None = None
    """What one pod has: a number, or such a gauge; without it no ratio is published."""

    @field_validator("used", "limit")
    @classmethod
    def _is_a_gauge(cls, value: object) -> object:
        if isinstance(value, str):
            _gauge(value)
        return value

    def saturation(self) -> Saturation:
        """Return what collectors are given of it."""
        limit = _gauge(self.limit) if isinstance(self.limit, str) else self.limit
        return Saturation(self.resource, _gauge(self.used), limit)


def _gauge(selector: str) -> Gauge:
    """Read `name` or `name{label="value"}`. Raises ValueError."""
    try:
        (family,) = text_string_to_metric_families(f"{selector} 0\n")
        (sample,) = family.samples
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(
            f'{selector!r} is not a gauge; write it as name or name{{label="value"}}'
        ) from error
    return Gauge(sample.name, sample.labels)


class ApplicationSettings(Section):
    """An application whose pods are scraped."""

    model_config = ConfigDict(
        json_schema_extra=filled_in("preset", "histogram", "status_label", "route_label")
    )

    name: str
    """Name of the source."""
    namespace: str = "default"
    """Namespace of the pods; `"*"` is all of them."""
    selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the pods: a mapping, or text like `app=web,tier=front`."""
    annotated: bool = False
    """Take only pods annotated `prometheus.io/scrape: "true"`; port and path are theirs, too, where
    they are not set here. `runbookd.io/scrape`, `/port` and `/path` win over `prometheus.io/…`."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Port that serves the metrics."""
    path: str | None = Field(default=None, pattern="^/")
    """Path of the metrics, `/metrics` by default."""
    preset: str | None = None
    """Library whose names stand in for `histogram`, `status_label` and `route_label`."""
    histogram: str
    """Name of the request histogram, without `_bucket`."""
    status_label: str
    """Label that holds the HTTP status."""
    route_label: str
    """Label that holds the route."""
    requests: str = ""
    """Counter of the requests, for applications whose histogram does not know the status."""
    errors: str = "5.."
    """Regular expression; a status that matches it whole is an error."""
    ignore_routes: tuple[str, ...] = ("/health", "/metrics", "/docs")
    """Routes that are not what users ask for."""
    routes: tuple[str, ...] = ()
    """Routes that get series of their own; by default the first `max_routes` that are seen. All
    others are counted together as route `other`. Two exporters of one application see them in
    another order: where there are more than `max_routes`, only named ones are the same in both."""
    max_routes: int = Field(default=50, ge=1, le=1000)
    """Most routes that get series of their own."""
    saturation: tuple[SaturationSettings, ...] = ()
    """Resources that can be used up."""
    apdex: Duration = timedelta(milliseconds=200)
    """T of Apdex: satisfied up to T, tolerating up to 4 T."""
    workload: str = ""
    """Workload that the series are labelled with; by default the pods' own."""
    workload_type: Literal["deployment", "statefulset", "daemonset"] = "deployment"
    """Kind of `workload`."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, value: object) -> object:
        preset = value.get("preset") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(preset, str):
            return value
        names = PRESETS.get(preset)  # one that is not there is told below, as the one mistake it is
        return {**(names or dict.fromkeys(PRESETS["micrometer"], "")), **value}

    @field_validator("saturation")
    @classmethod
    def _each_once(cls, value: tuple[SaturationSettings, ...]) -> tuple[SaturationSettings, ...]:
        gauges = [gauge for each in value for gauge in (each.used, each.limit) if gauge is not None]
        for said in ([each.resource for each in value], [g for g in gauges if isinstance(g, str)]):
            twice = sorted({word for word in said if said.count(word) > 1})
            if twice:
                raise ValueError(f"{twice[0]} stands there twice: one resource, one gauge")
        return value

    @field_validator("preset")
    @classmethod
    def _is_a_preset(cls, value: str | None) -> str | None:
        if value is not None and value not in PRESETS:
            raise ValueError(f"{value!r} is not a preset; {nearest(value, PRESETS)}")
        return value

    @field_validator("selector", mode="before", json_schema_input_type=dict[str, str] | str)
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",")]
        if not all(key and equals for key, equals, _ in pairs):
            raise ValueError(f"{value!r} is not a selector; write it as app=web,tier=front")
        return {key.strip(): wanted.strip() for key, _, wanted in pairs}

    @field_validator("errors")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if not self.selector and not self.annotated:
            raise ValueError("give it a selector, or set annotated: true")
        if self.port is None and not self.annotated:
            raise ValueError("port is missing; only with annotated: true do the pods tell it")
        return self

    def application(self) -> Application:
        """Return what collectors are given of it."""
        given = self.model_dump(exclude={"preset", "namespace", "saturation"})
        return Application(
            **given,
            namespace="" if self.namespace == "*" else self.namespace,
            saturation=tuple(each.saturation() for each in self.saturation),
        )


class _Collectors(Section):
    """One section for each collector; one that is there is enabled."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_means_defaults(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return {} if value is None else value
        return {name: {} if section is None else section for name, section in value.items()}


class ExporterSettings(Section):
    """All settings of `kpi-exporter serve`."""

    listen: Listen = Listen()
    web: Web = Web()
    cluster: str = "default"
    """Name of the cluster, for people; Prometheus labels series by its own external labels."""
    kubeconfig: Path | None = None
    """By default the pod's service account, else the user's kubeconfig."""
    applications: tuple[ApplicationSettings, ...] = ()
    """The applications whose pods are scraped."""
    collectors: Section = _Collectors()
    """`name: {settings}`; a collector whose section is there is enabled (`enabled: false`: off)."""
    kpi_targets: Section = Section()
    """Targets that differ from the operations guide's, in base units: `error_ratio: 0.02`."""
    max_series: int = Field(default=300_000, ge=1)
    """Most series published by all sources together; the newest beyond it are dropped."""
    shard: ShardSettings = ShardSettings()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "logfmt", "json"] = "auto"
    """`auto` is for people on a terminal, else JSON."""

    @field_validator("applications")
    @classmethod
    def _one_name_each(
        cls, value: tuple[ApplicationSettings, ...]
    ) -> tuple[ApplicationSettings, ...]:
        names = [application.name for application in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two applications are called {', '.join(twice)}")
        return value

    def addresses(self) -> list[tuple[str | None, int]]:
        """Return every host and port to bind; None is every address of the machine."""
        if self.web.listen_addresses:
            return [host_and_port(address) for address in self.web.listen_addresses]
        return [(self.listen.address, self.listen.port)]

    def enabled(self) -> dict[str, Section]:
        """Return the settings of each enabled collector by its name."""
        sections = {name: getattr(self.collectors, name) for name in _fields(self.collectors)}
        return {
            name: section
            for name, section in sections.items()
            if isinstance(section, Section) and getattr(section, "enabled", True)
        }

    def targets(self) -> dict[str, float]:
        """Return the target of each KPI that has one."""
        return {name: float(getattr(self.kpi_targets, name)) for name in _fields(self.kpi_targets)}


OFF = "`false` switches the collector off and leaves its settings here."


def settings_model(
    specs: Mapping[str, CollectorSpec[Section]], targets: Mapping[str, float]
) -> type[ExporterSettings]:
    """Return the settings with a section for each collector and a default for each KPI's target.

    One model for all means one validation: every mistake in a collector's section has its place in
    the file, and every variable of it is known.
    """
    sections: dict[str, object] = {}
    for name, spec in specs.items():
        section = _model(spec.settings, {"enabled": (bool, Field(default=True, description=OFF))})
        sections[name] = (section | None, None)
    collectors = _model(_Collectors, sections)
    kpi_targets = _model(Section, {name: (float, default) for name, default in targets.items()})
    return cast(
        "type[ExporterSettings]",
        _model(
            ExporterSettings,
            {"collectors": (collectors, collectors()), "kpi_targets": (kpi_targets, kpi_targets())},
        ),
    )


def _model(base: type[Section], fields: Mapping[str, object]) -> type[Section]:
    made: type[Section] = create_model(  # type: ignore[call-overload]  # field names are data here
        base.__name__.strip("_"), __base__=base, __doc__=base.__doc__, **fields
    )
    return made


def _fields(section: Section) -> list[str]:
    return list(type(section).model_fields)
