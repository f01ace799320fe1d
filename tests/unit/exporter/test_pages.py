"""The reader agrees with prometheus_client, and refuses what it cannot vouch for."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from exporter.pages import ABSENT, Level, Page, PageError, PageReader

Key = tuple[str, frozenset[tuple[str, str]]]
USED, LIMIT = Level("pool", "used"), Level("pool", "limit")


def classify(name: str, labels: Mapping[str, str]) -> Key | Level | None:
    match name:
        case "lat_max":
            return None
        case "pool_used":
            return USED
        case "pool_limit":
            return LIMIT
        case _:
            return name, frozenset(labels.items())


def reader(*, max_slots: int = 100) -> PageReader[Key]:
    return PageReader(["lat_", "pool_"], classify, max_slots=max_slots)


def read(reader: PageReader[Key], text: str) -> Page:
    page = reader.blank()
    reader.read(text.encode().split(b"\n"), page)
    return reader.finish(page)


def values(reader: PageReader[Key], text: str) -> dict[Key, float]:
    page = read(reader, text)
    return {
        target: value
        for target, value in zip(reader.targets, page.counts, strict=False)
        if value != ABSENT
    }


def plain(labels: str, value: float) -> dict[Key, float]:
    name, _, inside = labels.partition("{")
    pairs = [pair.partition("=") for pair in inside.removesuffix("}").split(",") if pair]
    return {(name, frozenset((k, v.strip('"')) for k, _, v in pairs)): value}


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
        assert values(known, f"lat_count {value} 1395066363000") == plain("lat_count", value)
    assert values(known, "lat_count 5") == plain("lat_count", 5), "the same line without one"
    assert len(known.targets) == 1
    with pytest.raises(PageError, match="not a number"):
        values(known, "lat_count 6 soon")


EXEMPLARS = (
    'lat_bucket{le="1"} %s # {trace_id="7f"} 0.67',
    'lat_bucket{le="1"} %s # {trace_id="7f"} 0.67 1520879607.789',
    'lat_bucket{le="1"} %s 1520879607.789 # {trace_id="7f"} 0.67 1520879607.789',
    'lat_bucket{le="1"} %s # {trace_id="a # {b"} 0.67',
    'lat_bucket{le="1"} %s # {} 0.67',
)


@pytest.mark.parametrize("line", EXEMPLARS)
def test_exemplars_are_stepped_over_and_need_no_parsing_again(line: str) -> None:
    known = reader()
    key = 'lat_bucket{le="1"}'
    for value, parsed in ((3, 1), (4, 0)):
        page = read(known, (line % value).replace("7f", f"7f{value}"))
        assert dict(zip(known.targets, page.counts, strict=True)) == plain(key, value)
        assert page.parsed == parsed
    assert values(known, f"{key} 5") == plain(key, 5)
    assert len(known.targets) == 1


def test_a_label_that_looks_like_an_exemplar_is_read_right_each_time() -> None:
    known = reader()
    for value in (3, 4):
        text = f'lat_count{{a="x # {{y"}} {value} # {{t="1"}} 7'
        assert values(known, text) == {("lat_count", frozenset({("a", "x # {y")})): value}
    assert len(known.targets) == 1


@pytest.mark.parametrize(
    "line", ['lat_count # {t="1"} 3', 'lat_count x # {t="1"} 3', 'lat_count 1 x # {t="1"} 3']
)
def test_an_exemplar_does_not_make_a_bad_line_a_good_one(line: str) -> None:
    with pytest.raises(PageError):
        values(reader(), line)


def test_a_page_of_openmetrics_reads_as_its_text_does() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("lat", "h", ["route"], buckets=(0.1, 1), registry=registry)
    histogram.labels("/tasks").observe(0.05, {"trace_id": "7f"})
    text = generate_latest(registry).decode()
    openmetrics = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    assert "# {" in openmetrics
    wanted = {
        key: value for key, value in values(reader(), text).items() if "_created" not in key[0]
    }
    found = values(reader(), openmetrics)
    assert wanted == {key: value for key, value in found.items() if "_created" not in key[0]}


def test_gauges_are_added_up_and_may_fall() -> None:
    known = reader()
    for n, used in ((3, 4.0), (1, 2.0)):
        page = read(known, f'pool_used{{a="1"}} {n}\npool_used{{a="2"}} 1\npool_limit 10')
        assert known.levels(page) == {USED: used, LIMIT: 10}
    assert len(known.targets) == 0


@pytest.mark.parametrize("unknown", ["NaN", "-1", "+Inf"])
def test_a_gauge_that_says_not_known_says_nothing_and_spoils_nothing(unknown: str) -> None:
    known = reader()
    for _ in range(2):
        page = read(known, f"pool_used 3\npool_limit {unknown}\nlat_count 1")
        assert known.levels(page) == {USED: 3}


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
        "lat_count -2",
        "lat_count -0.5",
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


def test_an_application_cannot_fill_the_memory_and_keeps_what_it_is_known_by() -> None:
    known = reader(max_slots=3)
    text = "\n".join(f'lat_count{{a="{n}"}} 1' for n in range(5))
    for parsed in (3, 0):
        page = read(known, text)
        assert (list(page.counts), page.parsed, page.cut) == ([1.0, 1.0, 1.0], parsed, 2)
    assert known.known == 3
    assert read(reader(), f'lat_count{{a="{"x" * 5000}"}} 1').cut == 1, "too long to be kept"


def test_lines_that_nobody_writes_any_more_make_room() -> None:
    known = reader(max_slots=4)
    read(known, 'lat_count{a="1"} 1\nlat_count{a="2"} 2\nlat_max 1\npool_used 3')
    assert known.forget({1}) == [-1, 0]
    assert known.known == 1
    page = read(known, 'lat_count{a="2"} 5\nlat_count{a="3"} 6\npool_used 4')
    assert [target[1] for target in known.targets] == [{("a", "2")}, {("a", "3")}]
    assert (list(page.counts), page.parsed) == ([5.0, 6.0], 2)
    assert known.levels(page) == {USED: 4}
