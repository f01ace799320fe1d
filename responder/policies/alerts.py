"""Holds policies against alert rules."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.shared.config import Problem, load_yaml
from responder.domain.matchers import Matcher, parse_matchers
from responder.policies.files import read, yaml_files
from responder.policies.model import RunbookSection


def lint_alerts(path: Path, rules: Path) -> list[Problem]:
    """Find runbooks of the policy at `path` that no alert of `rules` can ever match.

    `rules` is a Prometheus rule file or a folder of them. Only what a rule says itself is looked
    at: its name and the labels with a fixed value. What `load` would refuse is left out; raises
    ConfigError for rules that cannot be read.
    """
    alerts = [alert for file in yaml_files(rules) for alert in _alerts(file)]
    problems = []
    for source in read(path, []):
        for trail, runbook in source.parts(RunbookSection, source.runbooks, []):
            try:
                matchers = [each for text in runbook.match for each in parse_matchers(text)]
            except ValueError:
                continue
            if not any(_may_match(matchers, alert) for alert in alerts):
                message = f'no alert of {rules} can ever match runbook "{runbook.name}"'
                problems.append(source.wrong((*trail, "match"), message))
    return problems


def _may_match(matchers: list[Matcher], alert: Mapping[str, str]) -> bool:
    return all(each.matches(alert) for each in matchers if each.label in alert)


def _alerts(file: Path) -> Iterator[dict[str, str]]:
    """Yield the labels that each alert of a rule file surely has."""
    groups = load_yaml(file).root.get("groups")
    for group in groups if isinstance(groups, list) else []:
        rules = group.get("rules") if isinstance(group, dict) else None
        for rule in rules if isinstance(rules, list) else []:
            if isinstance(rule, dict) and "alert" in rule:
                labels = rule.get("labels")
                fixed = labels.items() if isinstance(labels, dict) else ()
                named = {str(key): str(value) for key, value in fixed if "{{" not in str(value)}
                yield {**named, "alertname": str(rule["alert"])}
