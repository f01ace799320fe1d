"""Honest figures: what was counted, in which bucket it lies, and what is not known."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tally import Increment, Quantile, Tally, Target, Window, quantile, satisfaction, tally

INF = math.inf
BOUNDS = (0.1, 0.2, 0.4, 0.8)
LADDER = (*BOUNDS, INF)
CELLS = [
    *(Target("bucket", "/tasks", le=le) for le in LADDER),
    *(Target("bucket", "/tasks", failed=True, le=le) for le in LADDER),
    *(Target("bucket", "/users", le=le) for le in LADDER),
    Target("count", "/tasks"),
    Target("count", "/tasks", failed=True),
    Target("count", "/users"),
    Target("sum"),
]


def buckets(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(le, float(sum(v <= le for v in values))) for le in LADDER]


def counts(good: Sequence[float], failed: Sequence[float], users: Sequence[float]) -> list[float]:
    columns = [count for values in (good, failed, users) for _, count in buckets(values)]
    lengths = [float(len(values)) for values in (good, failed, users)]
    return [*columns, *lengths, sum((*good, *failed, *users))]


def increment(seconds: float, good: Sequence[float], *, bounds: Sequence[float] = ()) -> Increment:
    return Increment(seconds, counts(good, (), ()), frozenset(bounds or LADDER))


def test_counts_are_sorted_out_by_what_they_count() -> None:
    found = tally(CELLS, counts([0.25, 0.125], [0.0625], [0.5]), LADDER, 15)
    assert found == Tally(
        seconds=15,
        requests={"/tasks": (3, 1), "/users": (1, 0)},
        duration=0.9375,
        buckets=buckets([0.25, 0.125, 0.0625, 0.5]),
        good=buckets([0.25, 0.125, 0.5]),
        routes={"/tasks": buckets([0.25, 0.125, 0.0625]), "/users": buckets([0.5])},
    )
    assert (found.total, found.failures) == (4, 1)


def test_bounds_that_are_not_asked_for_are_left_out() -> None:
    found = tally(CELLS, counts([0.05, 0.15], [], []), (0.2, INF), 15)
    assert found.buckets == [(0.2, 2), (INF, 2)]


def test_counts_that_are_shorter_than_the_cells_are_of_the_first_ones() -> None:
    assert tally(CELLS, [1.0], LADDER, 15).buckets[0] == (0.1, 1)
    assert tally([], [], (), 0) == Tally(buckets=[], good=[])


@given(st.lists(st.floats(0.001, 2), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], q: float) -> None:
    found = quantile(q, buckets(values))
    true = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    place = bisect_left(BOUNDS, true)
    assert found is not None
    assert found.seconds <= BOUNDS[min(place, 3)]
    assert found.seconds >= (BOUNDS[place - 1] if place else 0.0) or place > 3
    assert found.capped == (place > 3)


def test_a_quantile_is_interpolated_and_capped_at_the_last_finite_bound() -> None:
    found = quantile(0.9375, [(0.125, 875.0), (0.25, 1000.0), (INF, 1000.0)])
    assert found == Quantile(0.1875, capped=False)
    assert quantile(0.95, [(0.1, 1.0), (0.2, 2.0), (INF, 100.0)]) == Quantile(0.2, capped=True)


@pytest.mark.parametrize("known", [[], [(INF, 3.0)], [(0.1, 0.0), (INF, 0.0)]])
def test_a_quantile_of_nothing_is_unknown(known: list[tuple[float, float]]) -> None:
    assert quantile(0.95, known) is None


def within(milliseconds: float) -> timedelta:
    return timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("good", "total", "expected"),
    [
        ([0.1, 0.15], 2, 1.0),
        ([0.1, 0.3], 2, 0.75),
        ([0.1, 0.9], 2, 0.5),
        ([0.1], 2, 0.5),
        ([], 4, 0.0),
        ([], 0, None),
    ],
)
def test_apdex_counts_a_failed_request_as_frustrated(
    good: list[float], total: int, expected: float | None
) -> None:
    found = satisfaction(buckets(good), within(200))
    assert found is not None
    assert found.exact
    assert found.apdex(total) == expected


def test_satisfaction_takes_the_next_lower_bound_and_says_so() -> None:
    seen = buckets([0.15, 0.22, 0.7])
    assert satisfaction(seen, within(250)) == (1, 2, False), "250 ms and 1 s are no bounds"
    assert satisfaction(seen, within(200)) == (1, 2, True)
    assert satisfaction(seen, within(50)) is None, "there is no bound up to T"
    assert satisfaction([], within(200)) is None


def test_bounds_that_were_rounded_are_still_the_same() -> None:
    assert satisfaction([(0.3, 1.0), (1.2000000000000002, 2.0), (INF, 2.0)], within(300)) == (
        1,
        1,
        True,
    )


def test_a_window_forgets_what_it_does_not_need_and_keeps_at_least_one_pass() -> None:
    window = Window(timedelta(minutes=1))
    assert window.total(CELLS) == Tally(buckets=[], good=[])
    for n in range(10):
        window.push(increment(15, [0.05] * n))
    assert window.total(CELLS).seconds == 60
    assert window.total(CELLS).total == 6 + 7 + 8 + 9
    window.push(increment(300, [0.05]))
    assert window.total(CELLS).seconds == 300


def test_a_window_has_the_bounds_that_all_its_passes_share() -> None:
    window = Window(timedelta(minutes=1))
    window.push(increment(15, [0.05], bounds=(0.1, 0.2, INF)))
    window.push(increment(15, [0.15], bounds=(0.2, 0.4, INF)))
    window.push(Increment(15, (), frozenset()))
    assert window.total(CELLS).buckets == [(0.2, 2), (INF, 2)]
