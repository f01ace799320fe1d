"""The dashboard about infrastructure."""

from charts.dashboards import infrastructure, render
from tests.generate import Generated

SPEC = Generated(
    "dashboard_infrastructure",
    "charts/runbookd/files/dashboards/infrastructure.json",
    lambda: render.text(infrastructure.BOARD),
)
