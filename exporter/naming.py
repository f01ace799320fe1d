"""How metrics and labels may be called: Prometheus' practice, where a machine can tell; pure."""

import re
from typing import Literal

_NAME = re.compile(r"kpi_[a-z0-9]+(_[a-z0-9]+)*")

_FOREIGN_UNITS = re.compile(
    r"_(ms|milliseconds|microseconds|minutes|hours|days|kb|mb|gb|kib|mib|gib|percent|pct)(_|$)"
)

RESERVED_LABELS = frozenset(
    {"cluster", "region", "zone", "env", "service", "instance", "job", "type", "le"}
)
"""Labels that belong to the scrape configuration, or say nothing."""


def metric_complaint(name: str, kind: Literal["gauge", "counter", "histogram"]) -> str:
    """Say what is wrong with a metric's name; empty when nothing is."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is not a name like kpi_orders_open: small letters, figures, underscores"
    if found := _FOREIGN_UNITS.search(name):
        return f"{name!r} has the unit {found[1]}; base units are seconds, bytes and ratio"
    if name.endswith(("_bucket", "_sum", "_count")):
        return f"{name!r} ends like a part of a histogram"
    if name.endswith("_total") != (kind == "counter"):
        return f"{name!r} is a {kind}; counters, and they alone, end in _total"
    return ""


def label_complaint(label: str) -> str:
    """Say what is wrong with a label's name; empty when nothing is."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", label):
        return f"{label!r} is not a label's name: small letters, figures, underscores"
    if label in RESERVED_LABELS:
        return f"the label {label!r} belongs to the scrape configuration, or says nothing"
    return ""
