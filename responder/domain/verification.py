"""Three-valued verification: a KPI holds, fails, or cannot be told."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


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
    raise NotImplementedError


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
    look that fails or cannot be told waits on until `timeout` (from started_at), and then stands.
    """
    raise NotImplementedError
