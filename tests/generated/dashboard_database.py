"""The dashboard about the database."""

from charts.dashboards import database, render
from tests.generate import Generated

SPEC = Generated(
    "dashboard_database",
    "charts/runbookd/files/dashboards/database.json",
    lambda: render.text(database.BOARD),
)
