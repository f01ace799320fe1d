"""Bounds of the shipped alerts: a panel is red where its alert would fire."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import yaml

ALERTS = Path(__file__).resolve().parents[2] / "rules" / "alerts"
COMPARISONS = (">", ">=", "<", "<=", "==")
_NUMBER = re.compile(r"\d+(?: \* \d+)*")
"""As rules write seconds: `26 * 3600`."""


def bound(alert: str) -> float:
    """Return the number that the alert's expression, as a whole, is compared with.

    Raises ValueError where there is no such alert, or it is more than such a comparison.
    """
    expr = next((expr for name, expr in _alerts() if name == alert), "")
    parsed = promql_parser.parse(expr) if expr else None
    if isinstance(parsed, promql_parser.BinaryExpr) and str(parsed.op) in COMPARISONS:
        number = str(parsed.rhs)
        if _NUMBER.fullmatch(number):
            return math.prod(float(factor) for factor in number.split(" * "))
    raise ValueError(f"{alert} is no alert that compares with a number alone")


def _alerts() -> Iterator[tuple[str, str]]:
    for file in sorted(ALERTS.glob("*.yaml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                yield rule["alert"], rule["expr"]
