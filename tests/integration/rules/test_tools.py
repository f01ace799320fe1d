"""Prometheus' and Alertmanager's own tools over the shipped files."""

from pathlib import Path

import pytest

from tests.bed.alertmanager import amtool
from tests.bed.prometheus import promtool
from tests.bed.rules import RULES, cases, promtool_tests, rule_files

ALERTMANAGER = RULES / "alertmanager.yaml"


def test_promtool_finds_nothing_to_complain_about() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *rule_files())
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.timeout(60)
@pytest.mark.parametrize("file", promtool_tests(), ids=lambda file: file.stem)
def test_alerts_fire_stay_quiet_and_resolve_as_their_tests_say(file: Path) -> None:
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_alertmanager_takes_its_configuration() -> None:
    checked = amtool("check-config", ALERTMANAGER)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_routed_to_the_responder() -> None:
    sets = {
        tuple(f"{name}={value}" for name, value in sorted(alert.exp_labels.items()))
        for case in cases()
        for look in case.alert_rule_test
        for alert in look.exp_alerts
    }
    assert len(sets) > 5
    for labels in sorted(sets):
        routed = amtool("config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels)
        assert routed.stdout.strip() == "runbookd", labels
