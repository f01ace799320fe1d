"""Dividing the shipped durations by a factor changes durations, and nothing else."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from exporter.shared.config import parse_duration
from tests.bed.settings import HOME, SCRAPE_INTERVAL
from tests.bed.timefactor import scale_duration, scale_yaml

FACTOR = 10
SHIPPED = sorted(
    [
        *(HOME / "rules").rglob("*.yaml"),
        HOME / "exporter" / "example.yaml",
        HOME / "responder" / "example.yaml",
    ]
)
RULE_TESTS = HOME / "rules" / "tests"
"""Read by promtool at the shipped pace only."""

DURATION = re.compile(r"(?<![\w.])(?:\d+(?:ms|[smhdwy]))+(?!\w)")
UNMEASURED = {"apdex"}
"""Keys of durations that measure the application, which a faster clock leaves as slow as it is."""

Place = tuple[str | int, ...]
FILES = [file for file in SHIPPED if RULE_TESTS not in file.parents]
EVERY_FILE = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HOME)))


def leaves(tree: object, path: Place = ()) -> Iterator[tuple[Place, object]]:
    """Walk a document: every scalar with its place; an empty container is a leaf."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list) and tree:
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path, tree


def divided(before: str, after: str) -> bool:
    """Say whether two durations differ by the factor, as closely as milliseconds can."""
    whole, part = parse_duration(before), parse_duration(after)
    return abs(part * FACTOR - whole) <= timedelta(milliseconds=FACTOR)


def only_durations_differ(before: str, after: str) -> bool:
    """Say whether two texts are the same but for durations, each divided by the factor."""
    if DURATION.sub("#", before) != DURATION.sub("#", after):
        return False
    pairs = zip(DURATION.findall(before), DURATION.findall(after), strict=True)
    return all(divided(*pair) for pair in pairs)


def is_duration(value: object) -> bool:
    return isinstance(value, str) and DURATION.fullmatch(value) is not None


@EVERY_FILE
def test_only_durations_change(file: Path) -> None:
    text = file.read_text()
    scaled = dict(leaves(yaml.safe_load(scale_yaml(text, FACTOR))))
    original = dict(leaves(yaml.safe_load(text)))
    assert list(scaled) == list(original)
    for place, before in original.items():
        after = scaled[place]
        if before == after:
            continue
        assert isinstance(before, str), place
        assert isinstance(after, str), place
        if place[-1] == "expr":
            assert only_durations_differ(before, after), (place, before, after)
        else:
            assert is_duration(before), place
            assert divided(before, after), (place, before, after)


@EVERY_FILE
def test_no_duration_is_forgotten(file: Path) -> None:
    text = file.read_text()
    scaled = dict(leaves(yaml.safe_load(scale_yaml(text, FACTOR))))
    for place, before in leaves(yaml.safe_load(text)):
        if UNMEASURED.intersection(place) or "annotations" in place:
            assert scaled[place] == before, place
        elif is_duration(before) and parse_duration(str(before)):
            assert scaled[place] != before, place
        elif place[-1] == "expr":
            ranges = re.findall(r"\[([^\]]+)\]", str(before))
            assert not set(ranges) & set(re.findall(r"\[([^\]]+)\]", str(scaled[place]))), place


def test_prometheus_scrapes_faster_by_the_same_factor() -> None:
    assert divided(SCRAPE_INTERVAL, scale_duration(SCRAPE_INTERVAL, FACTOR))


def test_everything_that_is_shipped_is_looked_at() -> None:
    parents = {file.parent.name for file in FILES}
    assert {"alerts", "recording", "policies", "rules", "exporter", "responder"} <= parents


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("rate(x[2m]) > 1", "rate(x[12s]) > 1", True),
        ("rate(x[2m]) > 1", "rate(x[12s]) > 2", False),
        ("rate(x[2m])", "rate(x[13s])", False),
        ("rate(x[2m])", "rate(y[12s])", False),
        ("rate(x[2m])", "rate(x[2m] offset 1m)", False),
    ],
)
def test_the_comparison_would_notice(before: str, after: str, *, same: bool) -> None:
    assert only_durations_differ(before, after) is same
