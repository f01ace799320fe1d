"""Three-valued verification: a KPI holds, fails, or cannot be told."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isnan


class Truth(StrEnum):
    """The answer of one look."""

    HOLDS = "holds"
    FAILS = "fails"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Look:
    """What Prometheus said, read in one go. None: no series, or more than one."""

    value: float | None
    """The KPI now (may be NaN)."""
    target: float | None
    comparison: str
    """`below` or `above`; empty when kpi_target is absent."""
    requests: float | None
    """Requests seen in the window (None when the KPI does not count requests)."""
    sampled_at: datetime | None
    """Time of the newest raw sample behind the value; None when unknown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer with its reason."""

    truth: Truth
    reason: str
    """In words, with figures: `error_ratio 0.2 % is below 1 % over 412 requests`."""


def assess(look: Look, *, min_requests: float, stale_after: timedelta, now: datetime) -> Finding:
    """Judge one look. NaN, nothing, too few requests, stale data: cannot tell, never healthy."""
    doubt = _doubt(look, min_requests, stale_after, now)
    if doubt or look.value is None or look.target is None:
        return Finding(Truth.CANNOT_TELL, doubt)
    holds = look.value < look.target if look.comparison == "below" else look.value > look.target
    said = f"{look.value:.4g} is {'' if holds else 'not '}{look.comparison} {look.target:.4g}"
    over = "" if look.requests is None else f" over {look.requests:.0f} requests"
    return Finding(Truth.HOLDS if holds else Truth.FAILS, said + over)


def _doubt(look: Look, min_requests: float, stale_after: timedelta, now: datetime) -> str:
    """Say why nothing can be told, or return an empty string."""
    if look.value is None:
        return "Prometheus has no value, or more than one"
    if isnan(look.value):
        return "the value is not a number: nothing was measured in the window"
    if look.target is None or isnan(look.target) or look.comparison not in ("below", "above"):
        return "kpi_target does not say what to compare with"
    if look.requests is not None and not look.requests >= min_requests:  # NaN is not enough
        return f"{look.requests:.0f} requests in the window are fewer than {min_requests:.0f}"
    return _staleness(look.sampled_at, stale_after, now)


def _staleness(sampled_at: datetime | None, stale_after: timedelta, now: datetime) -> str:
    if sampled_at is None:
        return "the age of the value is unknown"
    age = now - sampled_at
    return f"the newest sample is {age.total_seconds():.0f} s old" if age > stale_after else ""


class Step(StrEnum):
    """What the verification does after a look."""

    WAIT = "wait"
    HOLDS = "holds"
    FAILS = "fails"
    CANNOT_TELL = "cannot_tell"


def progress(
    finding: Finding | None,
    *,
    started_at: datetime,
    settle: timedelta,
    window: timedelta,
    timeout: timedelta,
    now: datetime,
) -> Step:
    """Decide after each look, by the time since the effect settled (`started_at`).

    Before settle + window nothing is believed: WAIT. After that HOLDS as soon as a look holds. A
    look that fails or cannot be told waits on until `timeout` (from started_at), and then stands;
    no look at all (None: Prometheus is away) is one that cannot be told.
    """
    elapsed = now - started_at
    if elapsed < settle + window:
        return Step.WAIT
    truth = finding.truth if finding else Truth.CANNOT_TELL
    if truth is Truth.HOLDS:
        return Step.HOLDS
    if elapsed < timeout:
        return Step.WAIT
    return Step.FAILS if truth is Truth.FAILS else Step.CANNOT_TELL
