"""The collector on rows that PostgreSQL 15 gave: what it asks when, and what a failure costs."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from exporter.collectors.postgres import SPEC, DatabaseSettings, Settings, parts
from exporter.contract import PolledSource
from exporter.exposition.store import FragmentStore
from exporter.postgres import server
from exporter.postgres.part import SEES_ALL, Part
from exporter.shared.errors import PermanentError, RunbookdError, TransientError
from exporter.sql_port import QueryDelayedError, QueryRefusedError
from tests.fake_clients import FakeClients, Outcome, lines
from tests.recorded_postgres import Recorded

DSN = "postgresql://127.0.0.1/taskmanager"
V15 = Recorded(15)
DATA = Path(__file__).parents[3] / "data"


def replies(version: int = 15, **facts: object) -> dict[str, Outcome]:
    """Return the answers of a recorded server by query."""
    recorded = Recorded(version)
    own = {**recorded.rows("facts")[0], **facts}
    return {
        server.FACTS: [own],
        **{str(part.query(recorded.facts)): recorded.rows(part.name) for part in told(version)},
    }


def told(version: int) -> list[Part]:
    facts = Recorded(version).facts
    return [part for part in parts(Settings()) if isinstance(part.query(facts), str)]


class Watched:
    """One source on one fake database."""

    def __init__(self, settings: Mapping[str, object] | None = None, **address: object) -> None:
        self.clients = FakeClients()
        database = {"name": "tasks", **(address or {"dsn": DSN})}
        made = Settings.model_validate({"databases": [database], **(settings or {})})
        (source,) = SPEC.sources(made, self.clients)
        assert isinstance(source, PolledSource)
        self.source = source
        self.database = self.clients.database(
            DSN, collector="", statement_timeout=made.statement_timeout
        )
        self.database.replies = replies()
        self.queries = {
            part.name: str(part.query(V15.facts))
            for part in parts(made)
            if isinstance(part.query(V15.facts), str)
        }

    def fail(self, part: str, error: RunbookdError) -> None:
        self.database.replies[self.queries[part]] = error

    async def lines(self) -> list[str]:
        return lines(await self.source.collect())

    async def asked(self) -> set[str]:
        """Make a pass and return the parts that it asked for."""
        self.database.asked.clear()
        await self.source.collect()
        names = {query: name for name, query in self.queries.items()}
        return {names[query] for query in self.database.asked if query != server.FACTS}


MEDIUM = {"statements", "tables", "wal_files", "settings"}
SLOW = {"size", "server_size", "table_sizes"}


async def test_everything_is_published_under_its_name() -> None:
    """The whole page of one pass, byte for byte."""
    watched = Watched()
    store = FragmentStore(SPEC.metrics, max_series=1000)
    collected = await watched.source.collect()
    store.open(SPEC.metrics).put("", collected.samples)
    golden = DATA / "postgres_exposition.txt"
    assert store.document().text().decode() == golden.read_text()


async def test_what_is_dear_is_asked_less_often() -> None:
    watched = Watched()
    each = watched.queries.keys() - MEDIUM - SLOW
    assert await watched.asked() == watched.queries.keys()
    seen = []
    for _ in range(40):
        watched.clients.clock.advance(15)
        seen.append(await watched.asked())
    assert all(asked >= each for asked in seen)
    assert [bool(asked & MEDIUM) for asked in seen] == [n % 4 == 3 for n in range(40)]
    assert [bool(asked & SLOW) for asked in seen] == [n == 39 for n in range(40)]


async def test_what_was_not_asked_this_time_is_still_told() -> None:
    watched = Watched()
    first = await watched.lines()
    watched.clients.clock.advance(15)
    assert len(await watched.lines()) == len(first)


async def test_one_query_that_fails_costs_its_own_part_only() -> None:
    watched = Watched()
    whole = {line.rpartition(" ")[0] for line in await watched.lines()}
    for reason, error in (
        ("lock", QueryDelayedError("", "lock")),
        ("privilege", QueryRefusedError("", "privilege")),
        ("Other", QueryRefusedError("", "Other")),
    ):
        fresh = Watched()
        fresh.fail("locks", error)
        found = await fresh.lines()
        lost = whole - {line.rpartition(" ")[0] for line in found}
        assert lost
        assert all(line.startswith("kpi_postgres_locks{") for line in lost)
        assert (
            f'kpi_postgres_part_absent{{database="tasks",part="locks",reason="{reason}"}} 1'
            in found
        )
        assert 'kpi_postgres_part_failures_total{database="tasks",part="locks"} 1' in found
        assert found[0] == 'kpi_postgres_up{database="tasks"} 1'


async def test_what_failed_is_kept_for_three_of_its_intervals_and_not_longer() -> None:
    watched = Watched()
    await watched.source.collect()
    watched.fail("size", QueryDelayedError("", "timeout"))
    watched.fail("locks", QueryDelayedError("", "timeout"))
    sizes = []
    for _ in range(130):
        watched.clients.clock.advance(15)
        found = await watched.lines()
        sizes.append(any("database_size_bytes" in line for line in found))
        held = any(line.startswith("kpi_postgres_locks{") for line in found)
        assert held == (len(sizes) <= 3)
    assert sizes == [n < 120 for n in range(130)]


async def test_what_our_role_may_not_see_is_absent_with_a_reason_and_not_wrong() -> None:
    watched = Watched()
    watched.database.replies |= replies(roles=[])
    asked = await watched.asked()
    hidden = {"activity", "replicas", "statements", "wal_files", "server_size"}
    assert asked == watched.queries.keys() - hidden
    found = await watched.lines()
    absent = {line for line in found if line.startswith("kpi_postgres_part_absent")}
    assert absent == {
        f'kpi_postgres_part_absent{{database="tasks",part="{part}",reason="privilege"}} 1'
        for part in hidden
    }
    assert not any("oldest_transaction" in line or "slow_queries" in line for line in found)
    watched = Watched()
    watched.database.replies |= replies(roles=[SEES_ALL])
    assert watched.queries.keys() - await watched.asked() == {"wal_files"}


async def test_an_extension_that_is_not_there_is_told_and_no_failure() -> None:
    watched = Watched()
    watched.database.replies |= replies(statements=None)
    found = await watched.lines()
    part = 'database="tasks",part="statements"'
    assert f'kpi_postgres_part_absent{{{part},reason="missing"}} 1' in found
    assert f"kpi_postgres_part_failures_total{{{part}}} 0" in found


async def test_a_standby_is_asked_whom_it_follows_and_a_primary_is_not() -> None:
    watched = Watched()
    assert not any("pg_stat_wal_receiver" in query for query in watched.queries.values())
    watched.database.replies |= replies(standby=True)
    await watched.source.collect()
    assert any("pg_stat_wal_receiver" in query for query in watched.database.asked)
    assert not any("pg_current_wal_lsn" in query for query in watched.database.asked)


async def test_a_source_can_leave_the_server_to_another_one() -> None:
    watched = Watched(dsn=DSN, whole_server=False)
    of_server = {part.name for part in parts(Settings()) if part.of_server}
    assert watched.queries.keys() - await watched.asked() == of_server - {"standby"}
    assert {"checkpoints", "settings", "slots"} < of_server


async def test_a_pass_begins_nothing_that_it_has_no_time_for() -> None:
    watched = Watched()
    database, fetch = watched.database, watched.database.fetch

    async def slow(query: str, *args: object) -> object:
        watched.clients.clock.advance(2)
        return await fetch(query, *args)

    database.fetch = slow  # type: ignore[assignment, method-assign]
    found = await watched.lines()
    late = [line for line in found if 'reason="deadline"' in line]
    assert len(late) == len(watched.queries) - 2  # the facts took 2 s, and two parts 2 s each
    assert any("kpi_postgres_connections{" in line for line in found)
    database.fetch = fetch  # type: ignore[method-assign]
    assert not any('reason="deadline"' in line for line in await watched.lines())


async def test_a_database_that_is_away_is_a_sample_of_zero_and_asked_all_when_it_is_back() -> None:
    watched = Watched()
    await watched.source.collect()
    watched.database.replies = {server.FACTS: TransientError("")}
    assert await watched.lines() == ['kpi_postgres_up{database="tasks"} 0']
    watched.database.replies = replies()
    assert await watched.asked() == watched.queries.keys()


async def test_a_database_that_goes_in_the_middle_is_away() -> None:
    watched = Watched()
    watched.fail("archiver", TransientError(""))
    assert await watched.lines() == ['kpi_postgres_up{database="tasks"} 0']


async def test_where_the_fault_is_ours_nothing_is_said_of_the_database() -> None:
    watched = Watched()
    watched.database.replies = {server.FACTS: PermanentError("")}
    with pytest.raises(PermanentError):
        await watched.source.collect()


async def test_an_address_that_changes_moves_the_one_connection(tmp_path: Path) -> None:
    file = tmp_path / "dsn"
    watched = Watched(dsn_file=file)
    with pytest.raises(PermanentError, match="FileNotFoundError"):
        await watched.source.collect()
    for dsn in ("postgresql://a\n", "postgresql://b\n"):
        file.write_text(dsn)
        database = watched.clients.database(
            dsn.strip(), collector="", statement_timeout=timedelta(0)
        )
        database.replies = replies()
        await watched.source.collect()
        await watched.source.collect()
    closed = {dsn: database.closed for dsn, database in watched.clients.databases.items()}
    assert closed == {DSN: 0, "postgresql://a": 1, "postgresql://b": 0}


@pytest.mark.parametrize("address", [{}, {"dsn": DSN, "dsn_file": "/x"}])
def test_a_database_has_exactly_one_address(address: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError, match="either dsn or dsn_file"):
        DatabaseSettings.model_validate({"name": "x", **address})


def test_no_two_databases_bear_one_name() -> None:
    twice = [{"name": "x", "dsn": DSN}, {"name": "x", "dsn": DSN}]
    with pytest.raises(ValidationError, match="two are called x"):
        Settings.model_validate({"databases": twice})


def test_an_address_is_not_shown() -> None:
    database = DatabaseSettings.model_validate({"name": "x", "dsn": "postgresql://u:secret@h"})
    assert "secret" not in f"{database!r}{database.model_dump_json()}"


def test_every_family_is_declared_once_and_used() -> None:
    assert len({metric.name for metric in SPEC.metrics}) == len(SPEC.metrics)
    assert all(metric.labels[0] == "database" for metric in SPEC.metrics)
