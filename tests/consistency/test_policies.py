"""The shipped policies against the actions and the alerts that really exist."""

from pathlib import Path

from exporter.shared.plugins import discover
from responder import actions
from responder.contract import ActionSpec
from responder.policies.alerts import lint_alerts
from responder.policies.load import lint

RULES = Path(__file__).parents[2] / "rules"


def test_every_shipped_policy_loads_with_the_real_actions() -> None:
    assert lint(RULES / "policies", discover(actions, ActionSpec)) == []


def test_every_shipped_runbook_can_be_reached_by_an_alert() -> None:
    assert lint_alerts(RULES / "policies", RULES / "alerts") == []
