from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.domain.verification import Finding, Look, Step, Truth, assess, progress

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
FRESH = NOW - timedelta(seconds=5)
LOOK = Look(value=0.002, target=0.01, comparison="below", requests=412, sampled_at=FRESH)


def _assess(look: Look) -> Finding:
    return assess(look, min_requests=50, stale_after=timedelta(minutes=1), now=NOW)


def test_a_value_within_its_target_holds() -> None:
    assert _assess(LOOK) == Finding(Truth.HOLDS, "0.002 is below 0.01 over 412 requests")


@pytest.mark.parametrize(
    ("value", "target", "comparison", "truth"),
    [
        (0.2, 0.01, "below", Truth.FAILS),
        (0.01, 0.01, "below", Truth.FAILS),
        (float("inf"), 0.2, "below", Truth.FAILS),
        (0.9999, 0.999, "above", Truth.HOLDS),
        (0.999, 0.999, "above", Truth.FAILS),
    ],
)
def test_the_bound_itself_is_outside(
    value: float, target: float, comparison: str, truth: Truth
) -> None:
    look = replace(LOOK, value=value, target=target, comparison=comparison)
    assert _assess(look).truth is truth


NAN = float("nan")


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        (replace(LOOK, value=None), "no value"),
        (replace(LOOK, value=NAN), "not a number"),
        (replace(LOOK, target=None), "kpi_target"),
        (replace(LOOK, target=NAN), "kpi_target"),
        (replace(LOOK, comparison=""), "kpi_target"),
        (replace(LOOK, requests=49), "49 requests in the window are fewer than 50"),
        (replace(LOOK, requests=NAN), "fewer than 50"),
        (replace(LOOK, sampled_at=None), "age of the value is unknown"),
        (replace(LOOK, sampled_at=NOW - timedelta(seconds=61)), "61 s old"),
    ],
)
def test_bad_data_is_never_healthy(look: Look, reason: str) -> None:
    finding = _assess(look)
    assert finding.truth is Truth.CANNOT_TELL
    assert reason in finding.reason


def test_a_kpi_that_counts_no_requests_needs_none() -> None:
    assert _assess(replace(LOOK, requests=None)).truth is Truth.HOLDS


def _progress(truth: Truth | None, after: timedelta) -> Step:
    return progress(
        Finding(truth, "") if truth else None,
        started_at=NOW,
        settle=timedelta(seconds=30),
        window=timedelta(minutes=2),
        timeout=timedelta(minutes=10),
        now=NOW + after,
    )


SECONDS = st.integers(0, 149).map(lambda seconds: timedelta(seconds=seconds))


@given(st.sampled_from([None, *Truth]), SECONDS)
def test_nothing_is_believed_before_settle_and_window(
    truth: Truth | None, after: timedelta
) -> None:
    assert _progress(truth, after) is Step.WAIT


@pytest.mark.parametrize(
    ("truth", "before_timeout", "at_timeout"),
    [
        (Truth.HOLDS, Step.HOLDS, Step.HOLDS),
        (Truth.FAILS, Step.WAIT, Step.FAILS),
        (Truth.CANNOT_TELL, Step.WAIT, Step.CANNOT_TELL),
        (None, Step.WAIT, Step.CANNOT_TELL),
    ],
)
def test_a_bad_look_waits_until_the_timeout_and_then_stands(
    truth: Truth | None, before_timeout: Step, at_timeout: Step
) -> None:
    assert _progress(truth, timedelta(seconds=150)) is before_timeout
    assert _progress(truth, timedelta(minutes=10)) is at_timeout
