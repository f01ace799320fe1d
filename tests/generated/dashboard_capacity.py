"""The dashboard about capacity."""

from charts.dashboards import capacity, render
from tests.generate import Generated

SPEC = Generated(
    "dashboard_capacity",
    "charts/runbookd/files/dashboards/capacity.json",
    lambda: render.text(capacity.BOARD),
)
