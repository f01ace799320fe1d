"""`kpi-exporter`: serve, the morning check, and what the collectors are."""

import os
from pathlib import Path
from typing import Annotated

import typer

from exporter import app as composition
from exporter.commands.access import access
from exporter.commands.check import EXAMPLES, check
from exporter.commands.permissions import permissions
from exporter.commands.report import report
from exporter.commands.serve import serve
from exporter.shared.config import ConfigError
from exporter.terminal import out, told

app = typer.Typer(
    name="kpi-exporter",
    help="Observes an application and its platform, and publishes KPIs to Prometheus.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
config = typer.Typer(help="The settings file.", no_args_is_help=True)
app.add_typer(config, name="config")
app.command()(serve)
app.command(epilog=EXAMPLES)(check)
app.command()(access)
app.command()(report)
app.command()(permissions)


def main() -> None:
    """Run the command line."""
    app()


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
