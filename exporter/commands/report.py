"""`kpi-exporter report`: the state of the cluster as a dated document."""

import asyncio
import json
import os
from datetime import timedelta
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated

import typer

from exporter import app as composition
from exporter.collectors.security import Settings as Security
from exporter.posture.examine import Examination, Wanted
from exporter.posture.report import Document, Limits, Status
from exporter.settings import ExporterSettings
from exporter.shared.clock import SystemClock
from exporter.shared.errors import RunbookdError
from exporter.terminal import Config, duration, told


class Output(StrEnum):
    """How a report is printed."""

    MARKDOWN = "markdown"
    JSON = "json"


def _age(flag: str, text: str) -> object:
    """Return an option that is a Prometheus duration."""
    return typer.Option(flag, parser=duration, metavar="DURATION", help=text)


@told
def report(
    *,
    compliance: Annotated[
        bool, typer.Option("--compliance", help="The security posture of the cluster.")
    ] = False,
    secret_age: Annotated[
        timedelta, _age("--secret-age", "Age of a secret's data that is a finding.")
    ] = timedelta(days=90),
    image_age: Annotated[
        timedelta, _age("--image-age", "Age of a running image that is a finding.")
    ] = timedelta(days=90),
    certificate_left: Annotated[
        timedelta, _age("--certificate-left", "Time that a certificate has to hold.")
    ] = timedelta(days=30),
    output: Annotated[Output, typer.Option("--output", "-o")] = Output.MARKDOWN,
    config: Config = None,
) -> None:
    """Write a dated report on stdout; `--compliance` is the one there is.

    What is off in the settings' section `security`, or may not be read, is not examined: the report
    says so instead of passing it.
    """
    if not compliance:
        raise typer.BadParameter("say which report: --compliance")
    settings = composition.read_settings(config, os.environ, composition.collectors())
    document = asyncio.run(_posture(settings, Limits(secret_age, image_age, certificate_left)))
    match output:
        case Output.MARKDOWN:
            typer.echo(document.as_markdown(), nl=False)
        case Output.JSON:
            typer.echo(json.dumps(document.as_json(), indent=2))
    if all(check.status is Status.NOT_EXAMINED for check in document.checks):
        raise RunbookdError(f"nothing could be examined: {document.checks[0].summary}")


async def _posture(settings: ExporterSettings, limits: Limits) -> Document:
    section = settings.enabled().get("security")
    asked = section if isinstance(section, Security) else Security()
    wanted = Wanted(
        secrets=asked.secrets,
        certificates=asked.certificates,
        vulnerability_reports=asked.vulnerability_reports,
        reports=asked.reports,
        max_reports=asked.max_reports,
        max_report_bytes=asked.max_report_bytes,
    )
    clock = SystemClock()
    clients = composition.open_clients(settings, clock)
    try:
        checks = await Examination(clients.kube, wanted, clock.now(), limits).checks()
    finally:
        await clients.close()
    return Document(settings.cluster, clock.now(), version("runbookd"), checks)
