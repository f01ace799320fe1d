"""Merged series never fall, never lose what a pod counted, and give honest KPIs."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.merge import Increment, Merge, Target, Window, apdex, classifier, quantile
from exporter.pages import Page
from tests.fake_clients import TASK_MANAGER

INF = math.inf
SECOND = timedelta(seconds=1)
COUNT = Target("count", "/tasks")
SLOTS = [COUNT, *(Target("bucket", le=le) for le in (0.1, 0.2, 0.25, INF))]
OLD, NEW = (0.1, 0.2, INF), (0.1, 0.25, INF)


def observed(values: Sequence[float], bounds: Sequence[float] = OLD) -> Page:
    """Return the page of a pod that has seen `values`, for SLOTS."""
    return array(
        "d",
        [
            float(len(values)),
            *(
                float(sum(v <= slot.le for v in values)) if slot.le in bounds else -1.0
                for slot in SLOTS[1:]
            ),
        ],
    )


def counted(merge: Merge) -> float:
    return merge.requests().get("/tasks", (0.0, 0.0))[0]


def test_a_page_older_than_we_are_is_a_baseline() -> None:
    merge = Merge()
    merge.add("a", observed([0.05] * 7), SLOTS, baseline=True)
    merge.close({"a"}, 0)
    assert counted(merge) == 0
    assert merge.requests() == {"/tasks": (0.0, 0.0)}, "known from the start, as zero"
    merge.add("a", observed([0.05] * 9), SLOTS, baseline=True)
    assert merge.close({"a"}, 15).requests == 2
    assert counted(merge) == 2


def test_a_pod_that_started_since_counts_whole() -> None:
    merge = Merge()
    merge.add("b", observed([0.05] * 7), SLOTS, baseline=False)
    merge.close({"b"}, 15)
    assert counted(merge) == 7


def test_a_pod_that_is_gone_leaves_what_it_counted() -> None:
    merge = Merge()
    merge.add("a", observed([0.05] * 7), SLOTS, baseline=False)
    merge.close({"a"}, 15)
    merge.close(set(), 15)
    assert counted(merge) == 7


def test_a_restart_counts_the_whole_new_page_even_where_a_counter_has_caught_up() -> None:
    targets = [COUNT, Target("count", "/other")]
    merge = Merge()
    merge.add("a", array("d", [5.0, 5.0]), targets, baseline=True)
    merge.close({"a"}, 0)
    merge.add("a", array("d", [6.0, 1.0]), targets, baseline=True)
    assert merge.close({"a"}, 15).requests == 7


def test_a_series_that_vanished_means_a_restart() -> None:
    targets = [COUNT, Target("count", "/other")]
    merge = Merge()
    merge.add("a", array("d", [5.0, 5.0]), targets, baseline=True)
    merge.close({"a"}, 0)
    merge.add("a", array("d", [6.0]), targets, baseline=True)
    assert merge.close({"a"}, 15).requests == 6


def test_a_series_that_is_new_in_a_known_pod_counts_whole() -> None:
    merge = Merge()
    failed = Target("count", "/tasks", failed=True)
    merge.add("a", array("d", [5.0]), [COUNT], baseline=True)
    merge.close({"a"}, 0)
    merge.add("a", array("d", [5.0, 2.0]), [COUNT, failed], baseline=True)
    assert merge.close({"a"}, 15).failures == 2


def test_versions_with_other_bounds_share_what_both_have() -> None:
    merge = Merge()
    merge.add("old", observed([0.15], OLD), SLOTS, baseline=False)
    merge.add("new", observed([0.22], NEW), SLOTS, baseline=False)
    assert merge.close({"old", "new"}, 15).bounds == {0.1, INF}
    assert [le for le, _ in merge.histogram()] == [0.1, INF]


def test_a_bound_that_joins_later_never_lies_below_the_one_before_it() -> None:
    merge = Merge()
    merge.add("old", observed([0.05, 0.05, 0.15], OLD), SLOTS, baseline=False)
    merge.close({"old"}, 15)
    merge.add("new", observed([0.22], NEW), SLOTS, baseline=False)
    merge.close({"new"}, 15)
    assert merge.histogram() == [(0.1, 2.0), (0.25, 2.0), (INF, 4.0)]
    merge.add("new", observed([0.22, 0.05], NEW), SLOTS, baseline=False)
    assert merge.close({"new"}, 15).bounds == set(NEW)
    assert merge.histogram() == [(0.1, 3.0), (0.25, 3.0), (INF, 5.0)]


def test_a_pod_without_requests_does_not_take_the_bounds_away() -> None:
    merge = Merge()
    merge.add("a", observed([0.15], OLD), SLOTS, baseline=False)
    merge.add("b", array("d"), SLOTS, baseline=False)
    assert merge.close({"a", "b"}, 15).bounds == set(OLD)


Step = tuple[str, str, list[float]]
STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["more", "more", "more", "restart", "gone", "pass", "upgrade"]),
        st.lists(st.sampled_from([0.05, 0.15, 0.22, 0.9]), max_size=4),
    ),
    max_size=40,
)


@given(STEPS)
def test_totals_hold_every_request_once_and_never_fall(steps: list[Step]) -> None:
    merge = Merge()
    alive: dict[str, list[float]] = {}
    read: dict[str, int] = {}
    bounds: dict[str, Sequence[float]] = {}
    truth = 0
    before: dict[float, float] = {}
    for pod, step, values in steps:
        match step:
            case "more":
                alive.setdefault(pod, []).extend(values)
            case "restart" if read.get(pod, 0) > 0:
                alive[pod], read[pod] = [], 0
            case "upgrade" if pod not in alive:
                bounds[pod] = NEW
            case "gone":
                alive.pop(pod, None)
                read.pop(pod, None)
            case _:
                pass
        for name, seen in alive.items():
            merge.add(name, observed(seen, bounds.get(name, OLD)), SLOTS, baseline=False)
            truth += len(seen) - read.get(name, 0)
            read[name] = len(seen)
        merge.close(alive.keys(), 15)
        now = dict(merge.histogram())
        assert counted(merge) == truth
        assert list(now.values()) == sorted(now.values()), "cumulative from bound to bound"
        assert all(now[le] >= before[le] for le in now.keys() & before.keys())
        assert not now or now[INF] == truth
        before |= now


BOUNDS = (0.1, 0.2, 0.4, 0.8)


def buckets(values: Sequence[float]) -> list[tuple[float, float]]:
    return [(le, float(sum(v <= le for v in values))) for le in (*BOUNDS, INF)]


@given(st.lists(st.floats(0.001, 2), min_size=1, max_size=50), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(values: list[float], q: float) -> None:
    found = quantile(q, buckets(values))
    true = sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
    place = bisect_left(BOUNDS, true)
    assert found is not None
    assert found <= BOUNDS[min(place, 3)]
    assert found >= (BOUNDS[place - 1] if place else 0.0) or place > 3


def test_a_quantile_is_interpolated_and_capped_at_the_last_finite_bound() -> None:
    assert quantile(0.95, [(0.1, 90.0), (0.2, 100.0), (INF, 100.0)]) == pytest.approx(0.15)
    assert quantile(0.95, [(0.1, 1.0), (0.2, 2.0), (INF, 100.0)]) == 0.2


@pytest.mark.parametrize("known", [[], [(INF, 3.0)], [(0.1, 0.0), (INF, 0.0)]])
def test_a_quantile_of_nothing_is_unknown(known: list[tuple[float, float]]) -> None:
    assert quantile(0.95, known) is None


def increment(seconds: float, good: Sequence[float], bad: int = 0) -> Increment:
    counts = {Target("bucket", le=le): n for le, n in buckets(good)}
    counts |= {Target("bucket", failed=True, le=le): float(bad) for le in (*BOUNDS, INF)}
    counts |= {COUNT: float(len(good)), Target("count", "/tasks", failed=True): float(bad)}
    return Increment(seconds, counts, frozenset((*BOUNDS, INF)))


@pytest.mark.parametrize(
    ("good", "bad", "expected"),
    [
        ([0.1, 0.15], 0, 1.0),
        ([0.1, 0.3], 0, 0.75),
        ([0.1, 0.9], 0, 0.5),
        ([0.1], 1, 0.5),
        ([], 4, 0.0),
        ([], 0, None),
    ],
)
def test_apdex_counts_a_failed_request_as_frustrated(
    good: list[float], bad: int, expected: float | None
) -> None:
    assert apdex(increment(15, good, bad), SECOND * 0.2) == expected


def test_apdex_takes_the_next_lower_bound_and_none_where_there_is_none() -> None:
    assert apdex(increment(15, [0.15, 0.22]), SECOND * 0.25) == 0.75
    assert apdex(increment(15, [0.05]), SECOND * 0.05) is None


def test_a_window_forgets_what_it_does_not_need_and_keeps_at_least_one_pass() -> None:
    window = Window(timedelta(minutes=1))
    assert window.total().requests == 0
    for n in range(10):
        window.push(increment(15, [0.05] * n))
    assert window.total().seconds == 60
    assert window.total().requests == 6 + 7 + 8 + 9
    window.push(increment(300, [0.05]))
    assert window.total().seconds == 300


def test_the_application_mapping_says_what_a_sample_counts_towards() -> None:
    classify = classifier(TASK_MANAGER)
    name = "http_request_duration_seconds"
    labels = {"route": "/tasks", "status": "503", "le": "0.1"}
    assert classify(f"{name}_bucket", labels) == Target("bucket", failed=True, le=0.1)
    assert classify(f"{name}_count", labels) == Target("count", "/tasks", failed=True)
    assert classify(f"{name}_sum", {}) == Target("sum")
    assert classify(f"{name}_count", {"route": "/health"}) is None
    assert classify(f"{name}_created", labels) is None
    assert classify(f"{name}_count", {"status": "5030"}) == Target("count")
