"""Statements: each increase is counted once, whatever statements come, go and begin anew."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collectors.postgres import Settings
from exporter.contract import Collected
from exporter.postgres.part import Absence, Part, Row
from exporter.postgres.statements import CALLS, RETIRED, SECONDS, TEXT, shorten, statements
from tests.recorded_postgres import Recorded, short

FIRST, SECOND = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def part(**settings: object) -> Part:
    return statements(Settings.model_validate(settings).limits(), ())


def row(name: str | None, calls: float, seconds: float, reset: object = FIRST) -> Row:
    counts = {"calls": calls, "seconds": seconds, "rows": calls, "blocks_read": 0}
    return {"queryid": name, **counts, "query": None, "forgotten": 0, "reset": reset}


def read(of: Part, *rows: Row) -> Collected:
    by_time = sorted(rows, key=lambda one: -float(str(one["seconds"])))
    return of.read("tasks", by_time, 0.0)


def told(collected: Collected) -> dict[str, tuple[float, float]]:
    """Return calls and seconds by statement."""
    values = {(one.metric, one.labels[1]): one.value for one in collected.samples if one.labels[1:]}
    names = [name for metric, name in values if metric is CALLS]
    return {name: (values[CALLS, name], values[SECONDS, name]) for name in names}


def mean(collected: Collected) -> float | None:
    return collected.readings[0].value if collected.readings else None


def test_what_takes_most_time_is_told_and_all_others_together() -> None:
    of = part(statements=1)
    found = read(of, row("a", 10, 5), row("b", 100, 1), row("c", 1, 0.5))
    assert told(found) == {"a": (10, 5), "Other": (101, 1.5)}
    assert mean(found) == pytest.approx(6.5 / 111)


def test_a_rate_is_that_of_the_last_interval() -> None:
    of = part()
    read(of, row("a", 10, 5))
    found = read(of, row("a", 14, 6))
    assert told(found) == {"a": (14, 6), "Other": (0, 0)}
    assert mean(found) == 0.25
    assert mean(read(of, row("a", 14, 6))) is None, "without a call nothing is known"


def test_a_statement_that_is_told_anew_makes_no_peak() -> None:
    of = part(statements=1)
    read(of, row("a", 10, 5), row("b", 100, 4))
    found = read(of, row("a", 11, 5.5), row("b", 150, 6))
    assert told(found) == {"b": (150, 6), "Other": (151, 6.5)}
    found = read(of, row("a", 12, 7), row("b", 151, 6.5))
    # a goes on from where it was told last, and b's last call is Other's.
    assert told(found) == {"a": (10, 5), "Other": (153, 8.5)}
    found = read(of, row("a", 13, 8), row("b", 152, 6.6))
    assert told(found) == {"a": (11, 6), "Other": (154, pytest.approx(8.6))}


def test_a_reset_loses_and_repeats_nothing() -> None:
    of = part(statements=1)
    read(of, row("a", 10, 5), row("b", 10, 1))
    found = read(of, row("a", 30, 6, SECOND), row("b", 2, 0.5, SECOND))
    assert told(found) == {"a": (40, 11), "Other": (12, 1.5)}


def test_a_statement_whose_statistics_were_dropped_begins_anew() -> None:
    of = part()
    read(of, row("a", 10, 5))
    read(of)
    assert told(read(of, row("a", 3, 1))) == {"a": (10, 5), "Other": (3, 1)}
    assert told(read(of, row("a", 1, 0.5))) == {"a": (11, 5.5), "Other": (3, 1)}


def test_a_statement_without_an_id_is_one_of_the_others() -> None:
    assert told(read(part(), row(None, 4, 2))) == {"Other": (4, 2)}


def test_what_was_told_once_is_remembered_within_bounds() -> None:
    of = part(statements=1)
    for number in range(RETIRED + 10):
        read(of, row(f"q{number}", 1, 1))
    found = read(of, row("q0", 1, 1))
    assert found.samples


workload = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.integers(0, 9), st.integers(0, 50)),
)


@given(st.lists(workload, min_size=2, max_size=8), st.sampled_from([0, 1, 2, 6]))
def test_all_increases_add_up(passes: list[Mapping[str, tuple[int, int]]], most: int) -> None:
    """Whatever takes the most time, the told counters grow by what the database did."""
    of = part(statements=most)
    totals: dict[str, tuple[int, int]] = {}
    before: dict[str, tuple[float, float]] | None = None
    for done in passes:
        for name, (calls, seconds) in done.items():
            had = totals.get(name, (0, 0))
            totals[name] = (had[0] + calls, had[1] + seconds)
        now = told(read(of, *(row(name, *counts) for name, counts in totals.items())))
        if before is not None:
            rates = [
                (counts[0] - before[name][0], counts[1] - before[name][1])
                for name, counts in now.items()
                if name in before  # Prometheus sees an increase from the second sample on
            ]
            assert all(calls >= 0 and seconds >= 0 for calls, seconds in rates)
            assert sum(calls for calls, _ in rates) == sum(calls for calls, _ in done.values())
            assert sum(seconds for _, seconds in rates) == sum(s for _, s in done.values())
        before = now


def test_slow_statements_are_counted_by_their_mean() -> None:
    found = short(read(part(), row("a", 2, 3), row("b", 2, 1), row("c", 0, 0)))
    assert "slow_statements 1" in found
    assert "statements 3" in found


def test_a_text_is_told_where_it_is_asked_for_and_without_secrets() -> None:
    recorded = Recorded(15)
    of = part(query_text=30)
    texts = [s.labels[2] for s in recorded.read(of).samples if s.metric is TEXT]
    assert texts == [
        "ALTER",
        "SELECT pg_stat_statements_rese",
        "DELETE FROM tasks WHERE id <= ",
        "SELECT count(*) FROM tasks WHE",
    ]
    assert not any(s.metric is TEXT for s in recorded.read(part()).samples)
    assert "pg_stat_statements(false)" in str(part().query(recorded.facts))
    assert "pg_stat_statements(true)" in str(of.query(recorded.facts))


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("select 1", "select 1"),
        ("-- who\n/* why */ SELECT\n  1", "SELECT 1"),
        ("ALTER ROLE x PASSWORD 'geheim'", "ALTER"),
        ("/* select */ CREATE USER x PASSWORD 'geheim'", "CREATE"),
        ("-- only a comment", ""),
        ("", ""),
        ("SELECTED 'geheim'", "SELECTED"),
    ],
)
def test_of_what_is_no_query_only_the_first_word_is_told(query: str, shown: str) -> None:
    assert shorten(query, 100) == shown


def test_an_extension_that_is_not_there_or_too_old_is_no_failure() -> None:
    facts = Recorded(15).facts
    assert part().query(replace(facts, statements=None)) is Absence.MISSING
    assert part().query(replace(facts, statements=(1, 7))) is Absence.UNSUPPORTED
    of_13 = str(part().query(replace(facts, statements=(1, 8))))
    assert "toplevel" not in of_13
    assert '"my schema".pg_stat_statements(' in str(
        part().query(replace(facts, statements_schema='"my schema"'))
    )
