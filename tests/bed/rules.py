"""The shipped rules as data: what consistency tests read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgspec
import yaml

from tests.bed.settings import HOME

RULES = HOME / "rules"

_NOT_METRICS = re.compile(
    r"""
      "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*'          # label values
    | \b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)  # label names
    | \{[^}]*\}                                      # matchers
    """,
    re.VERBOSE,
)
_METRIC = re.compile(r"[a-z_]+:kpi_[a-z0-9_]+:[a-z0-9]+|\b(?:kpi|responder)_[a-z0-9_]+")


class Rule(msgspec.Struct):
    """A recording rule or an alert, as it stands in its file."""

    expr: str
    record: str = ""
    alert: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics and recording rules that the expression reads."""
        return set(_METRIC.findall(_NOT_METRICS.sub(" ", self.expr)))


class _Group(msgspec.Struct):
    name: str
    rules: list[Rule]


class _RuleFile(msgspec.Struct):
    groups: list[_Group]


class Expected(msgspec.Struct, frozen=True):
    """An alert that a test waits for."""

    exp_labels: dict[str, str]


class Look(msgspec.Struct):
    """One look of a test at one alert."""

    alertname: str
    eval_time: str
    exp_alerts: list[Expected]


class Case(msgspec.Struct):
    """One test, named `<AlertName>: <sort>, in words`."""

    name: str
    alert_rule_test: list[Look] = []


class _TestFile(msgspec.Struct):
    tests: list[Case]


@dataclass(frozen=True)
class Shipped:
    """All rules of the folder."""

    recordings: dict[str, Rule] = field(default_factory=dict)
    alerts: dict[str, Rule] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)


def rule_files() -> list[Path]:
    """Return the recording rules and the alerts."""
    return sorted([*RULES.glob("recording/*.yaml"), *RULES.glob("alerts/*.yaml")])


def promtool_tests() -> list[Path]:
    """Return promtool's tests."""
    return sorted(RULES.glob("tests/*.yaml"))


def shipped() -> Shipped:
    """Read every rule."""
    found = Shipped()
    for file in rule_files():
        for group in msgspec.convert(yaml.safe_load(file.read_text()), _RuleFile).groups:
            found.groups.append(group.name)
            for rule in group.rules:
                if rule.alert:
                    found.alerts[rule.alert] = rule
                else:
                    found.recordings[rule.record] = rule
    return found


@cache
def cases() -> Sequence[Case]:
    """Read every test, once: that takes a second, and hundreds of tests ask."""
    return tuple(
        case
        for file in promtool_tests()
        for case in msgspec.convert(yaml.safe_load(file.read_text()), _TestFile).tests
    )
