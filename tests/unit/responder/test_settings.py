"""Bounds of the responder's settings that a user may run into."""

from pathlib import Path

import pytest

from exporter.shared.config import ConfigError
from responder.app import notes, read_settings


def test_incidents_are_kept_for_longer_than_alertmanager_remembers(tmp_path: Path) -> None:
    file = tmp_path / "responder.yaml"
    file.write_text("policies: policies\nretention: {incidents: 6d}\n")
    with pytest.raises(ConfigError, match=r"responder\.yaml:2:\d+: .*7") as refused:
        read_settings(file)
    assert len(refused.value.problems) == 1
    file.write_text("policies: policies\nretention: {incidents: 7d, deliveries: 1h}\n")
    assert read_settings(file).retention.incidents.days == 7


@pytest.mark.parametrize(
    "url",
    ["alertmanager:9093", "ftp://a:1", "http://", "http://a:1/?b=c", "http://a:x", "http://[::1"],
)
def test_an_address_of_alertmanager_that_cannot_be_one_is_refused(tmp_path: Path, url: str) -> None:
    file = tmp_path / "responder.yaml"
    file.write_text(f"policies: policies\nalertmanagers: ['{url}']\n")
    with pytest.raises(ConfigError, match=r"responder\.yaml:2:\d+: .*http://alertmanager:9093"):
        read_settings(file)
    file.write_text("policies: policies\nalertmanagers: ['https://a/prefix/']\n")
    assert read_settings(file).alertmanagers == ("https://a/prefix",)


def test_lint_says_when_no_alertmanager_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "responder.yaml"
    file.write_text("policies: policies\n")
    (note,) = notes(file)
    assert "max_alerts" in note
    file.write_text("policies: policies\nalertmanagers: ['http://a:9093']\n")
    assert notes(file) == notes(None) == []


@pytest.mark.parametrize("name", ["alert", "undo", "runbookd"])
def test_nobody_may_be_named_as_the_machine_is(tmp_path: Path, name: str) -> None:
    file = tmp_path / "responder.yaml"
    for who in (
        f"tokens: [{{name: {name}, role: alertmanager, token_file: t}}]",
        f"basic: [{{username: {name}, role: alertmanager, password_file: t}}]",
    ):
        file.write_text(f"policies: policies\nauth: {{{who}}}\n")
        with pytest.raises(ConfigError, match="stands for the machine"):
            read_settings(file)
