"""The dashboard about the application."""

from charts.dashboards import application, render
from tests.generate import Generated

SPEC = Generated(
    "dashboard_application",
    "charts/runbookd/files/dashboards/application.json",
    lambda: render.text(application.BOARD),
)
