"""`kpi-exporter serve`: the daemon, with the flags that Prometheus' own programs have."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from exporter import app as composition
from exporter.shared.clock import SystemClock
from exporter.terminal import told


class Level(StrEnum):
    """Only messages of this severity or above."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    WARN = "warn"
    ERROR = "error"


class Form(StrEnum):
    """How a line of the log is written."""

    AUTO = "auto"
    LOGFMT = "logfmt"
    JSON = "json"


@told
def serve(  # noqa: PLR0913 - as many as there are flags
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "--config.file", "-c", help="The settings file (YAML)."),
    ] = None,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            "--web.listen-address",
            metavar="ADDRESS",
            help="Address to bind: :9842, host:9842, [::1]:9842. May be given more than once.",
        ),
    ] = None,
    web_config: Annotated[
        Path | None,
        typer.Option(
            "--web.config.file",
            metavar="FILE",
            help="Prometheus' web configuration file: TLS, users, headers, rate.",
        ),
    ] = None,
    telemetry_path: Annotated[
        str | None,
        typer.Option("--web.telemetry-path", metavar="PATH", help="Path of the metrics."),
    ] = None,
    max_requests: Annotated[
        int | None, typer.Option("--web.max-requests", min=1, help="Most scrapes at once.")
    ] = None,
    lifecycle: Annotated[
        bool | None,
        typer.Option(
            "--web.enable-lifecycle/--no-web.enable-lifecycle",
            help="Let POST /-/reload make it read its settings anew.",
            show_default=False,
        ),
    ] = None,
    level: Annotated[
        Level | None, typer.Option("--log.level", help="Log messages of this severity or above.")
    ] = None,
    form: Annotated[
        Form | None, typer.Option("--log.format", help="How the log is written.")
    ] = None,
) -> None:
    """Run the daemon until SIGTERM; SIGHUP makes it read its settings anew.

    What is said here wins over environment variables, and they over the file.
    """
    web = {
        "listen_addresses": listen or None,
        "config_file": web_config,
        "telemetry_path": telemetry_path,
        "max_requests": max_requests,
        "enable_lifecycle": lifecycle,
    }
    said = {
        "web": {name: value for name, value in web.items() if value is not None},
        "log_level": "warning" if level is Level.WARN else level,
        "log_format": form,
    }
    flags = {name: value for name, value in said.items() if value not in (None, {})}
    asyncio.run(composition.serve(config, flags, SystemClock()))
