"""Bounds of the shipped alerts: a panel is red where its alert would fire."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ALERTS = Path(__file__).resolve().parents[2] / "rules" / "alerts"
_BOUND = re.compile(r"(?:[<>]=?|==) (\d+(?: \* \d+)*)$")
"""How an expression ends that is compared with a number: `> 26 * 3600`."""


def bound(alert: str) -> float:
    """Return the number that the alert's expression is compared with.

    Raises ValueError where there is no such alert, or it is compared with something else.
    """
    found = _BOUND.search(next((expr for name, expr in _alerts() if name == alert), ""))
    if found is None:
        raise ValueError(f"no alert {alert} is compared with a number")
    return math.prod(float(factor) for factor in found[1].split(" * "))


def _alerts() -> Iterator[tuple[str, str]]:
    for file in sorted(ALERTS.glob("*.yaml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                yield rule["alert"], rule["expr"].strip()
