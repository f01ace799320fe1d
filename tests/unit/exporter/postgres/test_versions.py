"""What each version of PostgreSQL counts, from rows that it really gave."""

from dataclasses import replace

import pytest

from exporter.collectors.postgres import Settings, parts
from exporter.postgres.part import Absence, Part
from tests.recorded_postgres import RECORDED, VERSIONS, Recorded, named, short

SINCE_14 = {
    *("session_seconds_total", "active_seconds_total", "idle_in_transaction_seconds_total"),
    *("sessions_total", "sessions_abandoned_total", "sessions_fatal_total"),
    *("sessions_killed_total", "wal_records_total", "wal_full_page_images_total"),
    *("wal_bytes_total", "wal_buffers_full_total", "statements_forgotten_total"),
}

NEVER_NULL = {"slot_name", "schemaname", "relname", "name"} | {
    "unit"  # whose absence has a meaning: the setting has none
}
"""Columns that are NOT NULL in the catalogues."""

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)


def recorded_parts(version: int) -> list[Part]:
    return [part for part in parts(Settings()) if part.name in RECORDED[str(version)]]


def told(version: int) -> set[str]:
    """Return the names of all that a server of that version tells."""
    collected = [Recorded(version).read(part) for part in recorded_parts(version)]
    return {line.partition(" ")[0].partition("{")[0] for each in collected for line in short(each)}


def series(written: list[str]) -> set[str]:
    """Return the series without their values."""
    return {line.rpartition(" ")[0] for line in written}


@EVERY_VERSION
def test_every_version_tells_the_same_but_for_what_it_does_not_count(version: int) -> None:
    missing = {13: SINCE_14, 18: {"backend_blocks_total"}}
    # Up to 14 a database that is first used counts as reset; from 18 on checksums are the default.
    reset = {"stats_reset_timestamp_seconds"}
    added = {13: reset, 14: reset, 18: {"checksum_failures_total"}}
    assert told(15) - told(version) == missing.get(version, set())
    assert told(version) - told(15) == added.get(version, set())


@EVERY_VERSION
def test_a_server_is_asked_in_its_own_words(version: int) -> None:
    facts = Recorded(version).facts
    assert facts.version == version

    def query(part: str) -> str:
        return str(named(part).query(facts))

    assert ("pg_stat_checkpointer" in query("checkpoints")) == (version >= 17)
    assert ("pg_stat_io" in query("checkpoints")) == (version == 17)
    assert ("sessions_killed" in query("database")) == (version >= 14)
    assert ("waitstart" in query("blocked")) == (version >= 14)
    assert ("AND toplevel" in query("statements")) == (version >= 14)
    assert ("pg_stat_statements_info" in query("statements")) == (version >= 14)
    assert (query("wal") == Absence.UNSUPPORTED) == (version < 14)


def test_a_later_version_is_asked_as_the_last_one_known() -> None:
    latest = Recorded(18).facts
    for part in parts(Settings()):
        assert part.query(replace(latest, version=25)) == part.query(latest)


@EVERY_VERSION
def test_whatever_is_null_is_left_out_and_breaks_nothing(version: int) -> None:
    recorded = Recorded(version)
    for part in recorded_parts(version):
        rows = recorded.rows(part.name)
        before = series(short(recorded.read(part)))
        for column in set().union(*rows) - NEVER_NULL:
            without = [{**row, column: None} for row in rows]
            found = short(recorded.read(named(part.name), without))
            assert series(found) <= before, (part.name, column)
            assert not any(line.endswith(" nan") or "None" in line for line in found)


@EVERY_VERSION
def test_no_row_at_all_breaks_nothing(version: int) -> None:
    for part in recorded_parts(version):
        Recorded(version).read(part, [])


def test_what_the_server_says_of_itself_may_be_missing() -> None:
    row = Recorded(15).rows("facts")[0]
    for column in row:
        facts = Recorded.facts_of({**row, column: None})
        assert facts.version == (0 if column == "version" else 15)
    assert Recorded.facts_of({**row, "statements": None}).statements is None
    assert Recorded.facts_of({**row, "roles": None}).roles == frozenset()
