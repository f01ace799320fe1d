"""`kpi-exporter`: serve, the morning check, and what the collectors are."""

import typer

from exporter import app as composition
from exporter.commands.access import access
from exporter.commands.check import EXAMPLES, check
from exporter.commands.collect import collect
from exporter.commands.config import config
from exporter.commands.metrics import metrics
from exporter.commands.permissions import permissions
from exporter.commands.report import report
from exporter.commands.serve import serve
from exporter.terminal import out, told

app = typer.Typer(
    name="kpi-exporter",
    help="Observes an application and its platform, and publishes KPIs to Prometheus.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(config, name="config")
app.command()(serve)
app.command(epilog=EXAMPLES)(check)
app.command()(collect)
app.command()(metrics)
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
