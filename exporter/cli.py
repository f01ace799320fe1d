"""`kpi-exporter`: serve, the morning check, and what the collectors are."""

import asyncio
import json
import os
from dataclasses import asdict
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.table import Table

from exporter import app as composition
from exporter.check import Finding, Mark, Page, examine, exit_code
from exporter.commands.access import access
from exporter.commands.permissions import permissions
from exporter.commands.report import report
from exporter.commands.serve import serve
from exporter.kpi import CATALOGUE
from exporter.settings import ExporterSettings
from exporter.shared.clock import SystemClock
from exporter.shared.config import ConfigError, parse_duration
from exporter.shared.errors import RunbookdError
from exporter.shared.log import set_up_log
from exporter.terminal import Config, out, told

app = typer.Typer(
    name="kpi-exporter",
    help="Observes an application and its platform, and publishes KPIs to Prometheus.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
config = typer.Typer(help="The settings file.", no_args_is_help=True)
app.add_typer(config, name="config")
app.command()(access)
app.command()(report)
app.command()(permissions)

ANSWER_WITHIN = timedelta(seconds=10)
"""Longest wait for a running exporter's page."""

LAST_PASS = timedelta(seconds=10)
"""Longest wait for sources that are still at their last pass when the sample is over."""


class Output(StrEnum):
    """How the check is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def main() -> None:
    """Run the command line."""
    app()


app.command()(serve)


@app.command()
@told
def check(
    config: Config = None,
    address: Annotated[
        str | None,
        typer.Option("--from", help="Read a running exporter (http://host:9842) instead."),
    ] = None,
    sample: Annotated[
        str, typer.Option(help="Time between the two passes that rates are made of.")
    ] = "15s",
    output: Annotated[Output, typer.Option("--output", "-o")] = Output.TABLE,
) -> None:
    """Do the guide's morning check: 0 all ✓, 1 any ✗, 3 any ? without ✗, 2 wrong usage."""
    try:
        between = parse_duration(sample)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--sample") from error
    specs = composition.collectors()
    if address:
        text = asyncio.run(_fetch(address))
    else:
        set_up_log("error")
        settings = composition.read_settings(config, os.environ, specs)
        text = asyncio.run(_two_passes(settings, specs, between))
    feeds = {kpi: [name for name, spec in specs.items() if kpi in spec.kpis] for kpi in CATALOGUE}
    findings = examine(Page(text), feeds)
    _print(findings, output)
    raise typer.Exit(exit_code(findings))


async def _fetch(address: str) -> str:
    """Return the page of a running exporter; one that is away leaves everything unknown."""
    url = address.rstrip("/").removesuffix("/metrics") + "/metrics"
    limit = aiohttp.ClientTimeout(total=ANSWER_WITHIN.total_seconds())
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.get(url, raise_for_status=True) as answer,
        ):
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise RunbookdError(f"{url} does not answer: {type(error).__name__}") from error


async def _two_passes(
    settings: ExporterSettings, specs: composition.Specs, between: timedelta
) -> str:
    """Collect twice and return what would be exposed."""
    clock = SystemClock()
    async with composition.running(settings, specs, clock, every=between) as work:
        await clock.sleep(between)
        # A source whose first pass failed gets another one: rates are made of two.
        until = clock.monotonic() + (between + LAST_PASS).total_seconds()
        while work.schedule.passes < 2 and clock.monotonic() < until:
            await clock.sleep(timedelta(milliseconds=50))
        return work.document().text().decode()


STYLES = {Mark.GOOD: "green", Mark.BAD: "bold red", Mark.UNKNOWN: "yellow", Mark.SHOWN: "dim"}


def _print(findings: list[Finding], output: Output) -> None:
    match output:
        case Output.JSON:
            typer.echo(json.dumps([asdict(each) for each in findings], ensure_ascii=False))
        case Output.MARKDOWN:
            rows = ["| | part | subject | finding |", "|---|---|---|---|"]
            rows += [f"| {f.mark} | {f.section} | {f.subject} | {f.text} |" for f in findings]
            typer.echo("\n".join(rows))
        case Output.TABLE:
            table = Table(box=None, show_header=False, pad_edge=False)
            for each in findings:
                mark = f"[{STYLES[each.mark]}]{each.mark}[/]"
                table.add_row(mark, each.section, each.subject, each.text)
            out.print(table)


@app.command()
@told
def collectors() -> None:
    """List the collectors with their settings and metrics."""
    for name, spec in composition.collectors().items():
        out.print(f"[bold]{name}[/]  {spec.help}")
        for field, details in spec.settings.model_fields.items():
            out.print(f"  {field}: {details.description or ''}", markup=False)
        for metric in spec.metrics:
            labels = ",".join(metric.labels)
            out.print(f"  {metric.name}{{{labels}}} ({metric.kind})  {metric.help}", markup=False)


@config.command("check")
def config_check(
    file: Annotated[Path, typer.Argument(help="The settings file (YAML).")],
) -> None:
    """Read a settings file as `serve` would: 0 fine, 1 one line for each problem, 2 wrong usage."""
    try:
        composition.read_settings(file, os.environ, composition.collectors())
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem))
        raise typer.Exit(1) from error
    typer.echo(f"{file}: fine")
