"""The morning check and the alerts call the same things bad."""

import re
from pathlib import Path

import pytest

from exporter.morning.amounts import DAY
from exporter.morning.platform import BACKUP_AGE, CERTIFICATE_LEFT, PENDING

ALERTS = Path(__file__).resolve().parents[2] / "rules" / "alerts"


@pytest.mark.parametrize(
    ("metric", "bound"),
    [
        ("kpi_backup_newest_timestamp_seconds", f"> {BACKUP_AGE / 3600:.0f} * 3600"),
        ("kpi_certificate_expiry_timestamp_seconds", f"< {CERTIFICATE_LEFT / DAY:.0f} * 24 * 3600"),
        (
            "kpi_probe_certificate_expiry_timestamp_seconds",
            f"< {CERTIFICATE_LEFT / DAY:.0f} * 24 * 3600",
        ),
        ("kpi_helm_release_pending_seconds", f"> {PENDING:.0f}"),
    ],
)
def test_a_bound_of_the_morning_check_is_the_alerts(metric: str, bound: str) -> None:
    rules = "\n".join(file.read_text() for file in sorted(ALERTS.glob("*.yaml")))
    lines = [line for line in rules.splitlines() if re.search(rf"\({metric}\)", line)]
    assert lines
    assert [line for line in lines if not line.endswith(bound)] == []
