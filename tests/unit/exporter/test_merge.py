"""Merged series never fall, and never lose what a pod counted."""

import dataclasses
import math
from array import array
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from exporter.application import Gauge, Saturation
from exporter.merge import Classifier, Merge
from exporter.pages import Counts, Level
from exporter.tally import Increment, Target, tally
from tests.fake_clients import TASK_MANAGER

INF = math.inf
COUNT = Target("count", "/tasks")
SLOTS = [COUNT, *(Target("bucket", le=le) for le in (0.1, 0.2, 0.25, INF))]
OLD, NEW = (0.1, 0.2, INF), (0.1, 0.25, INF)


def observed(values: Sequence[float], bounds: Sequence[float] = OLD) -> Counts:
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
    return merge.total().requests.get("/tasks", (0.0, 0.0))[0]


def requests(merge: Merge, increment: Increment) -> float:
    return tally(merge.cells, increment.counts, increment.bounds, increment.seconds).total


def test_a_page_older_than_we_are_is_a_baseline() -> None:
    merge = Merge()
    merge.add("a", observed([0.05] * 7), SLOTS, baseline=True)
    merge.close({"a"}, 0)
    assert counted(merge) == 0
    assert merge.total().requests == {"/tasks": (0.0, 0.0)}, "known from the start, as zero"
    merge.add("a", observed([0.05] * 9), SLOTS, baseline=True)
    assert requests(merge, merge.close({"a"}, 15)) == 2
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
    assert requests(merge, merge.close({"a"}, 15)) == 7


def test_a_series_that_vanished_means_a_restart() -> None:
    targets = [COUNT, Target("count", "/other")]
    merge = Merge()
    merge.add("a", array("d", [5.0, 5.0]), targets, baseline=True)
    merge.close({"a"}, 0)
    merge.add("a", array("d", [6.0]), targets, baseline=True)
    assert requests(merge, merge.close({"a"}, 15)) == 6


def test_a_process_that_tells_its_start_is_believed() -> None:
    targets = [COUNT, Target("count", "/other")]
    merge = Merge()
    merge.add("a", array("d", [5.0, 5.0]), targets, baseline=True, started=1.0)
    merge.close({"a"}, 0)
    merge.add("a", array("d", [7.0, -1.0]), targets, baseline=True, started=1.0)
    assert requests(merge, merge.close({"a"}, 15)) == 2, "a line that it dropped is no restart"
    merge.add("a", array("d", [8.0, 3.0]), targets, baseline=True, started=1.0)
    assert requests(merge, merge.close({"a"}, 15)) == 4, "and counts whole when it is back"
    merge.add("a", array("d", [2.0, 4.0]), targets, baseline=True, started=1.0)
    assert requests(merge, merge.close({"a"}, 15)) == 3, "one that it set back counts for itself"
    merge.add("a", array("d", [9.0, 9.0]), targets, baseline=True, started=2.0)
    assert requests(merge, merge.close({"a"}, 15)) == 18, "a new process counts whole"


def test_a_line_that_goes_as_another_comes_takes_nothing_from_others() -> None:
    targets = [COUNT, Target("count", "/old"), Target("count", "/new")]
    merge = Merge()
    merge.add("a", array("d", [5.0, 5.0]), targets, baseline=True, started=1.0)
    merge.close({"a"}, 0)
    merge.add("a", array("d", [6.0, -1.0, 3.0]), targets, baseline=True, started=1.0)
    merge.close({"a"}, 15)
    assert merge.total().requests == {"/tasks": (1, 0), "/old": (0, 0), "/new": (3, 0)}


def test_a_series_that_is_new_in_a_known_pod_counts_whole() -> None:
    merge = Merge()
    failed = Target("count", "/tasks", failed=True)
    merge.add("a", array("d", [5.0]), [COUNT], baseline=True)
    merge.close({"a"}, 0)
    merge.add("a", array("d", [5.0, 2.0]), [COUNT, failed], baseline=True)
    merge.close({"a"}, 15)
    assert merge.total().failures == 2


def test_versions_with_other_bounds_share_what_both_have() -> None:
    merge = Merge()
    merge.add("old", observed([0.15], OLD), SLOTS, baseline=False)
    merge.add("new", observed([0.22], NEW), SLOTS, baseline=False)
    assert merge.close({"old", "new"}, 15).bounds == {0.1, INF}
    assert [le for le, _ in merge.total().buckets] == [0.1, INF]


def test_a_bound_that_joins_later_never_lies_below_the_one_before_it() -> None:
    merge = Merge()
    merge.add("old", observed([0.05, 0.05, 0.15], OLD), SLOTS, baseline=False)
    merge.close({"old"}, 15)
    merge.add("new", observed([0.22], NEW), SLOTS, baseline=False)
    merge.close({"new"}, 15)
    assert merge.total().buckets == [(0.1, 2.0), (0.25, 2.0), (INF, 4.0)]
    merge.add("new", observed([0.22, 0.05], NEW), SLOTS, baseline=False)
    assert merge.close({"new"}, 15).bounds == set(NEW)
    assert merge.total().buckets == [(0.1, 3.0), (0.25, 3.0), (INF, 5.0)]


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
        now = dict(merge.total().buckets)
        assert counted(merge) == truth
        assert list(now.values()) == sorted(now.values()), "cumulative from bound to bound"
        assert all(now[le] >= before[le] for le in now.keys() & before.keys())
        assert not now or now[INF] == truth
        before |= now


def test_lines_that_close_ranks_lose_nothing() -> None:
    targets = [Target("count", route) for route in ("/old", "/tasks", "/new")]
    merge = Merge()
    merge.add("a", array("d", [5.0, 5.0]), targets, baseline=False)
    merge.close({"a"}, 15)
    merge.add("b", array("d", [-1.0, 1.0]), targets, baseline=False)
    merge.close({"b"}, 15)
    assert merge.used() == {1}
    merge.renumber([-1, 0, -1])
    merge.add("b", array("d", [4.0, 2.0]), [targets[1], targets[2]], baseline=False)
    assert requests(merge, merge.close({"b"}, 15)) == 5
    assert merge.total().requests == {"/old": (5, 0), "/tasks": (9, 0), "/new": (2, 0)}


NAME = "http_request_duration_seconds"


def test_the_application_mapping_says_what_a_sample_counts_towards() -> None:
    classify = Classifier(TASK_MANAGER)
    labels = {"route": "/tasks", "status": "503", "le": "0.1"}
    assert classify(f"{NAME}_bucket", labels) == Target("bucket", "/tasks", failed=True, le=0.1)
    assert classify(f"{NAME}_count", labels) == Target("count", "/tasks", failed=True)
    assert classify(f"{NAME}_sum", {}) == Target("sum")
    assert classify(f"{NAME}_count", {"route": "/health"}) is None
    assert classify(f"{NAME}_created", labels) is None
    assert classify(f"{NAME}_count", {"status": "5030"}) == Target("count")


def test_requests_are_taken_from_their_own_counter_where_one_is_named() -> None:
    classify = Classifier(dataclasses.replace(TASK_MANAGER, requests="requests_total"))
    assert classify("requests_total", {"status": "500"}) == Target("count", failed=True)
    assert classify(f"{NAME}_count", {}) is None
    assert classify(f"{NAME}_bucket", {"le": "1"}) == Target("bucket", le=1.0)


def route_of(classify: Classifier, route: str) -> str:
    found = classify(f"{NAME}_count", {"route": route})
    assert isinstance(found, Target)
    return found.route


def test_routes_are_bounded_and_all_others_are_counted_together() -> None:
    classify = Classifier(dataclasses.replace(TASK_MANAGER, max_routes=2))
    seen = [route_of(classify, route) for route in ("/a", "/b", "/c", "/a", "/d", "/health2")]
    assert seen == ["/a", "/b", "other", "/a", "other", "other"]
    assert classify.folded == 3
    named = Classifier(dataclasses.replace(TASK_MANAGER, routes=("/b",)))
    assert [route_of(named, route) for route in ("/a", "/b")] == ["other", "/b"]


def test_a_resource_is_found_by_the_name_and_labels_of_its_gauges() -> None:
    pool = Gauge("pool", {"state": "used"})
    resources = (
        Saturation("in_flight", Gauge("in_flight", {}), 10.0),
        Saturation("db_pool", pool, Gauge("pool_max", {})),
    )
    classify = Classifier(dataclasses.replace(TASK_MANAGER, saturation=resources))
    assert classify("in_flight", {"method": "GET"}) == Level("in_flight", "used")
    assert classify("pool", {"state": "used", "name": "main"}) == Level("db_pool", "used")
    assert classify("pool", {"state": "idle"}) is None
    assert classify("pool_max", {}) == Level("db_pool", "limit")
    assert {"in_flight", "pool", "pool_max", f"{NAME}_sum"} <= set(classify.prefixes)
