"""The reader agrees with prometheus_client, and refuses what it cannot vouch for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exporter.pages import ABSENT, PageError, PageReader

Key = tuple[str, frozenset[tuple[str, str]]]


def reader(*, max_slots: int = 100) -> PageReader[Key]:
    return PageReader(
        "lat_",
        lambda name, labels: None if name == "lat_max" else (name, frozenset(labels.items())),
        max_slots=max_slots,
    )


def values(reader: PageReader[Key], text: str) -> dict[Key, float]:
    page = reader.blank()
    reader.read(text.encode().split(b"\n"), page)
    reader.finish(page)
    return {
        target: value
        for target, value in zip(reader.targets, page, strict=False)
        if value != ABSENT
    }


@given(st.lists(st.tuples(st.text(max_size=8), st.floats(0, 10)), max_size=8))
def test_every_legal_label_reads_as_the_client_parser_reads_it(
    seen: list[tuple[str, float]],
) -> None:
    registry = CollectorRegistry()
    histogram = Histogram("lat", "h", ["route"], buckets=(0.1, 1), registry=registry)
    for route, value in seen:
        histogram.labels(route).observe(value)
    text = generate_latest(registry).decode()
    expected = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name != "lat_max"
    }
    twice = reader(max_slots=1000)
    assert values(twice, text) == expected
    assert values(twice, text) == expected, "the second time all comes from the cache"


def test_a_line_that_is_known_takes_its_new_value() -> None:
    known = reader()
    assert values(known, 'lat_count{a="x y"} 1')
    assert list(values(known, 'lat_count{a="x y"} 2').values()) == [2.0]
    assert len(known.targets) == 1


def test_timestamps_are_not_taken_for_values() -> None:
    known = reader()
    for value in (3.0, 4.0):
        assert list(values(known, f"lat_count {value} 1395066363000").values()) == [value]
    assert len(known.targets) == 1


def test_a_line_that_is_gone_is_absent_not_zero() -> None:
    known = reader()
    values(known, 'lat_count{a="1"} 1\nlat_count{a="2"} 1')
    assert len(values(known, 'lat_count{a="2"} 0')) == 1


def test_what_is_not_wanted_takes_no_room() -> None:
    known = reader()
    for _ in range(2):
        assert values(known, "# HELP lat_x y\nother 1\nlat_max 3\n\nlat_count 1") != {}
    assert len(known.targets) == 1


@pytest.mark.parametrize(
    "line",
    [
        'lat_count{a="x} 1',
        "lat_count",
        "lat_count one",
        "lat_count NaN",
        "lat_count +Inf",
        'lat_count{a="x"}1',
        "lat_count\t1",
        "lat_count 1 ",
        "lat_\xff 1",
    ],
)
def test_a_line_that_cannot_be_vouched_for_spoils_its_page(line: str) -> None:
    with pytest.raises(PageError):
        values(reader(), line)


def test_a_known_line_with_a_bad_value_spoils_its_page() -> None:
    known = reader()
    values(known, "lat_count 1")
    with pytest.raises(PageError, match="not a number"):
        values(known, "lat_count x")


def test_undecodable_bytes_spoil_the_page() -> None:
    known = reader()
    with pytest.raises(PageError):
        known.read([b'lat_count{a="\xff"} 1'], known.blank())


def test_an_application_cannot_fill_the_memory_with_labels() -> None:
    known = reader(max_slots=3)
    with pytest.raises(PageError):
        values(known, "\n".join(f'lat_count{{a="{n}"}} 1' for n in range(4)))
