"""The dashboard about the responder."""

from charts.dashboards import render, responder
from tests.generate import Generated

SPEC = Generated(
    "dashboard_responder",
    "charts/runbookd/files/dashboards/responder.json",
    lambda: render.text(responder.BOARD),
)
