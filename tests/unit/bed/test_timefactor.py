from datetime import timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.shared.config import parse_duration
from tests.bed.timefactor import UNITS_MS, scale_duration, scale_promql, scale_yaml


@pytest.mark.parametrize(
    ("text", "factor", "scaled"),
    [
        ("2m", 10, "12s"),
        ("1h30m", 10, "9m"),
        ("1d", 10, "144m"),
        ("5s", 10, "500ms"),
        ("15s", 10, "1500ms"),
        ("1s", 3, "333ms"),
        ("1ms", 10, "1ms"),
        ("0m", 10, "0m"),
        ("0s", 10, "0s"),
        ("1w", 7, "24h"),
        ("90s", 1, "90s"),
    ],
)
def test_a_duration_is_divided_and_keeps_its_milliseconds(
    text: str, factor: float, scaled: str
) -> None:
    assert scale_duration(text, factor) == scaled


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "v4m", "5m ago", "-5m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        scale_duration(text, 10)


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS_MS)), st.integers(1, 100))
def test_a_divided_duration_times_the_factor_is_the_duration(
    count: int, unit: str, factor: int
) -> None:
    text = f"{count}{unit}"
    divided = parse_duration(scale_duration(text, factor))
    assert abs(divided * factor - parse_duration(text)) <= timedelta(milliseconds=factor)


@pytest.mark.parametrize(
    ("expression", "scaled"),
    [
        ("rate(x[2m])", "rate(x[12s])"),
        ("max_over_time(x[1h:5m])", "max_over_time(x[6m:30s])"),
        ("max_over_time(x[1h:])", "max_over_time(x[6m:])"),
        ("x offset 5m", "x offset 30s"),
        ("x offset -5m", "x offset -30s"),
        ("rate(x[1h30m] offset 1d)", "rate(x[9m] offset 144m)"),
        ('x{reason="5m"}', 'x{reason="5m"}'),
        ("x{reason=~'a|\\'5m'}[5m]", "x{reason=~'a|\\'5m'}[30s]"),
        ('x{path="[5m]"}[5m]', 'x{path="[5m]"}[30s]'),
        ("x{a=`5m`}", "x{a=`5m`}"),
        ("v4m + rate5m + level:x:5m", "v4m + rate5m + level:x:5m"),
        ("x > 5 * 60 # for 5m", "x > 5 * 60 # for 5m"),
        ("x > 1e5 or x < 0x5d", "x > 1e5 or x < 0x5d"),
        ("quantile(0.95, x)", "quantile(0.95, x)"),
    ],
)
def test_only_durations_of_an_expression_change(expression: str, scaled: str) -> None:
    assert scale_promql(expression, 10) == scaled


SHIPPED = """\
# for: 2m in a comment stays
groups:
  - name: v4m   # 5m
    interval: 30s
    rules:
      - alert: Late5m
        expr: rate(x{reason="5m"}[2m]) > 5
        for: 2m
        labels: {severity: warning, window: 5m}
        annotations:
          summary: 5m
          description: "broken for 5m"
      - record: level:x:rate5m
        expr: |-
          # over 5m
          max_over_time(x[1h:5m])
            / x offset 5m
      - {record: y, expr: "rate(x{a=\\"5m\\"}[5m])"}
      - {record: z, expr: 'rate(x{a=''5m''}[5m])', for: "5m"}
escalation:
  - {after: 0m, notify: [oncall]}
  - {after: 15m, notify: [manager]}
steps:
  - rollback: {when: {rollout_younger_than: 1h}, to: previous}
  - wait: 500ms
windows: [1m, '5m', 30]
apdex: 200ms
every: "02:00 Europe/Berlin"
match: ['reason="5m"', 'x=5m']
---
group_wait: 30s
"""

FASTER = """\
# for: 2m in a comment stays
groups:
  - name: v4m   # 5m
    interval: 3s
    rules:
      - alert: Late5m
        expr: rate(x{reason="5m"}[12s]) > 5
        for: 12s
        labels: {severity: warning, window: 5m}
        annotations:
          summary: 5m
          description: "broken for 5m"
      - record: level:x:rate5m
        expr: |-
          # over 5m
          max_over_time(x[6m:30s])
            / x offset 30s
      - {record: y, expr: "rate(x{a=\\"5m\\"}[30s])"}
      - {record: z, expr: 'rate(x{a=''5m''}[30s])', for: "30s"}
escalation:
  - {after: 0m, notify: [oncall]}
  - {after: 90s, notify: [manager]}
steps:
  - rollback: {when: {rollout_younger_than: 6m}, to: previous}
  - wait: 50ms
windows: [6s, '30s', 30]
apdex: 200ms
every: "02:00 Europe/Berlin"
match: ['reason="5m"', 'x=5m']
---
group_wait: 3s
"""


def test_only_durations_of_a_file_change() -> None:
    assert scale_yaml(SHIPPED, 10) == FASTER
    assert list(yaml.safe_load_all(FASTER))


def test_an_anchor_with_aliases_is_divided_once() -> None:
    assert scale_yaml("a: &x 5m\nb: *x\n", 10) == "a: &x 30s\nb: *x\n"


def test_an_empty_file_stays_empty() -> None:
    assert scale_yaml("# nothing yet\n", 10) == "# nothing yet\n"
