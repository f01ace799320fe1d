"""The series budget: a source under its share never loses to one that is over-eager."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.contract import Sample
from exporter.exposition.fragments import Fragments
from exporter.exposition.store import FragmentStore
from tests.client_exposition import GAUGE, HISTOGRAM, METRICS


def opened(max_series: int, sources: int) -> tuple[FragmentStore, list[Fragments]]:
    store = FragmentStore(METRICS, max_series=max_series)
    return store, [store.open(METRICS) for _ in range(sources)]


def put(source: Fragments, name: str, first: int, last: int) -> None:
    """Put objects one by one, as a watch does."""
    for number in range(first, last):
        source.put(f"{name}-{number}", [Sample(GAUGE, (f"{name}-{number}", ""), 1)])


def shown(store: FragmentStore, name: str) -> list[int]:
    lines = store.document().text().decode().splitlines()
    return [int(line.split(f'pod="{name}-')[1][:-6]) for line in lines if f'"{name}-' in line]


def test_what_others_leave_may_be_used_up() -> None:
    store, (eager, modest) = opened(max_series=100, sources=2)
    put(modest, "modest", 0, 10)
    put(eager, "eager", 0, 200)
    assert (eager.series, eager.dropped, modest.dropped) == (90, 110, 0)
    assert shown(store, "eager") == list(range(90))


def test_a_source_under_its_share_gets_room_from_the_newest_of_the_offender() -> None:
    store, (eager, modest) = opened(max_series=100, sources=2)
    put(eager, "eager", 0, 200)
    assert (eager.series, eager.dropped) == (100, 100)
    put(modest, "modest", 0, 30)
    assert (modest.series, modest.dropped) == (30, 0)
    assert (eager.series, eager.dropped) == (70, 130)
    assert shown(store, "eager") == list(range(70))
    assert shown(store, "modest") == list(range(30))


def test_neither_can_take_the_others_share() -> None:
    store, (first, second) = opened(max_series=100, sources=2)
    put(first, "first", 0, 200)
    put(second, "second", 0, 200)
    put(first, "first", 200, 300)
    assert (first.series, second.series, store.series) == (50, 50, 100)
    assert shown(store, "first") == list(range(50))


def test_the_largest_offender_gives_way_first() -> None:
    _, (large, small, modest) = opened(max_series=90, sources=3)
    put(small, "small", 0, 35)
    put(large, "large", 0, 55)
    put(modest, "modest", 0, 20)
    assert (large.series, small.series, modest.series) == (35, 35, 20)


def test_the_newest_label_sets_go_whatever_key_they_came_under() -> None:
    store, (eager, modest) = opened(max_series=8, sources=2)
    eager.put("a", [Sample(GAUGE, ("eager-1", ""), 1)])
    eager.put("b", [Sample(GAUGE, ("eager-2", ""), 1)])
    more = [Sample(GAUGE, (f"eager-{n}", ""), 1) for n in (3, 4, 5, 6, 7, 8)]
    eager.put("a", [*more, Sample(GAUGE, ("eager-1", ""), 1)])
    put(modest, "modest", 0, 3)
    assert sorted(shown(store, "eager")) == [1, 2, 3, 4, 5]
    put(modest, "modest", 3, 4)
    assert sorted(shown(store, "eager")) == [1, 2, 3, 4]


def test_a_histogram_goes_as_a_whole() -> None:
    _, (eager, modest) = opened(max_series=10, sources=2)
    les = ("0.1", "1", "10", "+Inf")
    eager.put("", [Sample(GAUGE, (str(n), ""), 1) for n in range(6)])
    histogram = [Sample(HISTOGRAM, ("", ""), 1, "_bucket", le) for le in les]
    eager.put("h", histogram)
    put(modest, "modest", 0, 1)
    assert (eager.series, eager.dropped, modest.series) == (6, 4, 1)


def test_a_source_that_goes_leaves_its_share() -> None:
    _, (first, second) = opened(max_series=100, sources=2)
    put(first, "first", 0, 50)
    second.close()
    second.close()
    put(first, "first", 50, 120)
    assert (first.series, first.dropped) == (100, 20)


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 8)), max_size=40),
)
def test_no_source_under_its_share_ever_loses_and_the_whole_is_bounded(
    max_series: int, puts: list[tuple[int, int, int]]
) -> None:
    store, sources = opened(max_series, 3)
    wanted: list[dict[str, int]] = [{}, {}, {}]
    modest = {0, 1, 2}
    for place, key, count in puts:
        labels = [(f"{place}-{key}-{n}", "") for n in range(count)]
        sources[place].put(str(key), [Sample(GAUGE, each, 1) for each in labels])
        wanted[place][str(key)] = count
        assert store.series == sum(each.series for each in sources) <= max_series
        modest -= {n for n in modest if sum(wanted[n].values()) > store.ledger.share}
        for each in modest:
            assert sources[each].dropped == 0
            assert sources[each].series == sum(wanted[each].values())
