"""The dashboard about the exporter."""

from charts.dashboards import exporter, render
from tests.generate import Generated

SPEC = Generated(
    "dashboard_exporter",
    "charts/runbookd/files/dashboards/exporter.json",
    lambda: render.text(exporter.BOARD),
)
