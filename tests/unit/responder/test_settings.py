"""Bounds of the responder's settings that a user may run into."""

from pathlib import Path

import pytest

from exporter.shared.config import ConfigError
from responder.app import read_settings


def test_incidents_are_kept_for_longer_than_alertmanager_remembers(tmp_path: Path) -> None:
    file = tmp_path / "responder.yaml"
    file.write_text("policies: policies\nretention: {incidents: 6d}\n")
    with pytest.raises(ConfigError, match=r"responder\.yaml:2:\d+: .*7") as refused:
        read_settings(file)
    assert len(refused.value.problems) == 1
    file.write_text("policies: policies\nretention: {incidents: 7d, deliveries: 1h}\n")
    assert read_settings(file).retention.incidents.days == 7
