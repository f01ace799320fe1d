"""The dashboard about AWS."""

from charts.dashboards import aws, render
from tests.generate import Generated

SPEC = Generated(
    "dashboard_aws",
    "charts/runbookd/files/dashboards/aws.json",
    lambda: render.text(aws.BOARD),
)
