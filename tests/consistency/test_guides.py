"""What each guide says that the responder does, against what the shipped policies decide."""

import re
from collections import defaultdict

import pytest

from responder.app import explain
from responder.explain import Decision
from tests.bed.rules import RULES, cases

SECTION = re.compile(r"^## What the responder does\n(.*?)^## ", re.MULTILINE | re.DOTALL)
RUNBOOK = re.compile(r"^Runbook `([^`]+)`")
WORDS = {
    "collect_evidence": "collects evidence",
    "rollback": "rolls back",
    "restart": "restarts",
    "scale": "scales up",
    "verify": "verifies",
}
"""How a guide says that a step is taken."""


def expected_labels() -> dict[str, list[dict[str, str]]]:
    """Every set of labels that an alert is tested to fire with."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for case in cases():
        for look in case.alert_rule_test:
            for alert in look.exp_alerts:
                labels = {"alertname": look.alertname, **alert.exp_labels}
                if labels not in found[look.alertname]:
                    found[look.alertname].append(labels)
    return found


EVERY_ALERT = pytest.mark.parametrize(
    "labels",
    [
        pytest.param(labels, id=f"{name}-{number}")
        for name, sets in sorted(expected_labels().items())
        for number, labels in enumerate(sets)
    ],
)


def guide(labels: dict[str, str]) -> str:
    """What the alert's guide says of the responder, on one line."""
    page = (RULES / "guides" / f"{labels['alertname']}.md").read_text()
    found = SECTION.search(page)
    assert found, "the guide does not say what the responder does"
    return " ".join(found[1].split())


def decided(labels: dict[str, str]) -> Decision:
    """What `alert-responder simulate` shows for an alert with `labels`."""
    return explain(RULES / "policies", labels)


@EVERY_ALERT
def test_a_guide_names_the_runbook_that_runs_or_says_that_none_does(labels: dict[str, str]) -> None:
    said, decision = guide(labels), decided(labels)
    named = RUNBOOK.match(said)
    # No target, no run: the incident tells people, whatever runbook matches.
    assert (named[1] if named else "") == (decision.runbook if decision.steps else "")
    assert ("no runbook acts" in said.lower()) == (not decision.steps)


@EVERY_ALERT
def test_a_guide_tells_the_steps_that_are_taken_and_no_others(labels: dict[str, str]) -> None:
    said, decision = guide(labels), decided(labels)
    taken = {WORDS[step.action] for step in decision.steps}
    assert {words for words in WORDS.values() if words in said} == taken
    observes = bool(decision.steps) and decision.mode == "observe"
    assert ("in observe mode" in said) == observes
    assert ("changes nothing" in said) == observes


@EVERY_ALERT
def test_a_guide_names_a_target_that_the_labels_do_not(labels: dict[str, str]) -> None:
    target = decided(labels).target
    if target and target.rpartition("/")[2] not in labels.values():
        assert target in guide(labels)


@EVERY_ALERT
def test_a_guide_says_that_people_are_told_and_whether_by_mail_alone(
    labels: dict[str, str],
) -> None:
    said, decision = guide(labels), decided(labels)
    by_mail = {name for level in decision.levels for name in level.notify} == {"oncall-mail"}
    assert ("by mail" in said) == by_mail
    if decision.mode != "act":
        assert re.search(r"\btells people\b", said)
