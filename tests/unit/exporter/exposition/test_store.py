"""The store against prometheus_client: a scrape is always what the client would print."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from prometheus_client.parser import text_string_to_metric_families

from exporter.contract import Sample
from exporter.exposition.fragments import Fragments
from exporter.exposition.page import SLOTS
from exporter.exposition.store import FragmentStore
from tests.client_exposition import GAUGE, HISTOGRAM, METRICS, PLAIN, fragments, printed


def opened(max_series: int = 10_000) -> tuple[FragmentStore, Fragments, Fragments]:
    store = FragmentStore(METRICS, max_series=max_series)
    return store, store.open(METRICS), store.open(METRICS)


@given(fragments)
def test_a_page_is_byte_for_byte_the_clients(samples: list[Sample]) -> None:
    store, source, _ = opened()
    source.put("a", samples)
    assert store.document().text() == printed(samples)


class Slots:
    """What the store should hold: the simplest thing that follows its rules."""

    def __init__(self) -> None:
        self.slots: list[tuple[int, str, list[Sample]] | None] = []

    def put(self, source: int, key: str, samples: Sequence[Sample]) -> None:
        place = self.find(source, key)
        if place is None:
            place = self.slots.index(None) if None in self.slots else len(self.slots)
            self.slots[place : place + 1] = [(source, key, [])]
        wanted = {(s.metric.name, s.labels) for s in samples}
        for other, slot in enumerate(self.slots):
            if slot is None or other == place:
                continue
            theirs = {(s.metric.name, s.labels) for s in slot[2]}
            if slot[0] == source:
                slot[2][:] = [s for s in slot[2] if (s.metric.name, s.labels) not in wanted]
            else:
                samples = [s for s in samples if (s.metric.name, s.labels) not in theirs]
        self.slots[place] = (source, key, list(samples))

    def find(self, source: int, key: str) -> int | None:
        for place, slot in enumerate(self.slots):
            if slot is not None and slot[:2] == (source, key):
                return place
        return None

    def delete(self, source: int, key: str) -> None:
        place = self.find(source, key)
        if place is not None:
            self.slots[place] = None

    def keys(self, source: int) -> set[str]:
        return {slot[1] for slot in self.slots if slot is not None and slot[0] == source}

    def samples(self) -> list[Sample]:
        return [sample for slot in self.slots if slot is not None for sample in slot[2]]


class StoreMachine(RuleBasedStateMachine):
    sources = st.integers(0, 1)
    keys = st.sampled_from("abcdef")

    @initialize()
    def start(self) -> None:
        self.store, *self.fragments = opened()
        self.model = Slots()
        self.put_since: list[set[str] | None] = [None, None]

    @rule(source=sources, key=keys, samples=fragments)
    def put(self, source: int, key: str, samples: list[Sample]) -> None:
        self.fragments[source].put(key, samples)
        self.model.put(source, key, samples)
        if (since := self.put_since[source]) is not None:
            since.add(key)

    @rule(source=sources, key=keys)
    def delete(self, source: int, key: str) -> None:
        self.fragments[source].delete(key)
        self.model.delete(source, key)

    @rule(source=sources)
    def begin(self, source: int) -> None:
        self.fragments[source].begin()
        self.put_since[source] = set()

    @rule(source=sources)
    def sweep(self, source: int) -> None:
        self.fragments[source].sweep()
        if (since := self.put_since[source]) is not None:
            for key in self.model.keys(source) - since:
                self.model.delete(source, key)

    @rule(source=sources)
    def clear(self, source: int) -> None:
        self.fragments[source].clear()
        for key in self.model.keys(source):
            self.model.delete(source, key)

    @invariant()
    def prints_what_the_client_prints(self) -> None:
        assert self.store.document().text() == printed(self.model.samples())
        assert self.store.series == len(self.model.samples())
        assert self.store.series == sum(each.series for each in self.fragments)


StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
test_after_any_sequence_the_store_prints_what_the_client_prints = StoreMachine.TestCase


def ready(pod: str, value: float = 1) -> Sample:
    return Sample(GAUGE, (pod, ""), value)


def test_a_document_handed_out_does_not_change_under_its_reader() -> None:
    store, source, _ = opened()
    source.put("a", [ready("a")])
    before = store.document()
    text = before.text()
    source.put("a", [ready("a", 0)])
    assert before.text() == text
    assert store.document().text() != text


def test_putting_the_same_again_makes_no_new_document() -> None:
    store, source, _ = opened()
    source.put("a", [ready("a")])
    before = store.document()
    source.put("a", [ready("a")])
    assert store.document() is before


def test_a_relist_has_no_hole_and_drops_what_it_did_not_see_at_its_end() -> None:
    store, source, _ = opened()
    source.put("a", [ready("a")])
    source.put("b", [ready("b")])
    source.begin()
    assert b'"a"' in store.document().text()
    source.put("b", [ready("b")])
    assert b'"a"' in store.document().text()
    source.sweep()
    assert b'"a"' not in store.document().text()
    assert b'"b"' in store.document().text()


def test_an_object_made_anew_takes_its_series_over_before_the_old_one_is_dropped() -> None:
    store, source, _ = opened()
    source.put("uid-1", [ready("web-0", 0), ready("web-0-other", 5)])
    source.put("uid-2", [ready("web-0", 1)])
    assert store.document().text().count(b'pod="web-0"}') == 1
    source.delete("uid-1")
    assert store.document().text() == printed([ready("web-0", 1)])
    assert source.duplicates == 0


def test_a_series_of_another_source_is_refused_and_counted() -> None:
    store, first, second = opened()
    first.put("a", [ready("a", 1)])
    second.put("x", [ready("a", 0), ready("b", 0)])
    assert store.document().text() == printed([ready("a", 1), ready("b", 0)])
    assert (first.duplicates, second.duplicates) == (0, 1)
    first.clear()
    second.put("x", [ready("a", 0)])
    assert store.document().text() == printed([ready("a", 0)])


def test_a_series_twice_in_one_key_is_printed_once_and_counted() -> None:
    store, source, _ = opened()
    source.put("a", [ready("a", 1), ready("a", 0)])
    assert store.document().text() == printed([ready("a", 1)])
    assert source.duplicates == 1


def test_over_the_budget_the_newest_label_sets_of_the_offender_are_dropped() -> None:
    store, first, second = opened(max_series=7)
    first.put("a", [ready("a"), ready("b")])
    histogram = [Sample(HISTOGRAM, ("", ""), 1, "_bucket", le) for le in ("1", "2", "+Inf")]
    second.put("x", [*histogram, ready("x")])
    assert store.series == 6
    second.put("x", [ready("new-1"), ready("new-2"), ready("new-3"), *histogram, ready("x", 0)])
    assert (store.series, second.series, second.dropped, first.dropped) == (7, 5, 2, 0)
    kept = store.document().text()
    assert b"new-1" in kept
    assert b"new-2" not in kept
    assert kept.count(b"kpi_duration_seconds_bucket") == 3
    first.delete("a")
    second.put("x", [ready("new-1"), ready("new-2"), *histogram])
    assert second.dropped == 2


def test_what_is_not_budgeted_is_published_also_when_the_budget_is_used_up() -> None:
    store = FragmentStore(METRICS, max_series=0)
    own = store.open([PLAIN], budgeted=False)
    own.put("a", [Sample(PLAIN, (), 1)])
    assert store.document().text() == printed([Sample(PLAIN, (), 1)])


def test_a_sample_that_does_not_fit_its_metric_changes_nothing() -> None:
    store = FragmentStore(METRICS, max_series=10)
    source = store.open([GAUGE])
    source.put("a", [ready("a")])
    with pytest.raises(ValueError, match="not declared"):
        source.put("a", [ready("b"), Sample(PLAIN, (), 1)])
    with pytest.raises(ValueError, match="1 values for the labels"):
        source.put("a", [Sample(GAUGE, ("one",), 1)])
    assert store.document().text() == printed([ready("a")])


def test_many_objects_fill_many_pages_in_order() -> None:
    store, source, _ = opened()
    samples = [ready(f"pod-{number}") for number in range(SLOTS * 2 + 1)]
    for sample in samples:
        source.put(sample.labels[0], [sample])
    assert store.document().text() == printed(samples)
    [family] = text_string_to_metric_families(store.document().text().decode())
    assert len(family.samples) == len(samples)


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        FragmentStore([GAUGE, GAUGE], max_series=1)
