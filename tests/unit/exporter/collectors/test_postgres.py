"""What the rows of pg_stat_activity become, whatever is missing in them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from exporter.collectors.postgres import SPEC, DatabaseSettings, Settings
from exporter.contract import PolledSource
from exporter.shared.errors import PermanentError, TransientError
from tests.fake_clients import FakeClients, lines

DSN = "postgresql://127.0.0.1/taskmanager"


def row(state: str | None, count: int | None, *, here: bool | None = True) -> Mapping[str, object]:
    return {"state": state, "here": here, "connections": count, "usable": 97}


def one(clients: FakeClients, **address: object) -> PolledSource:
    database = DatabaseSettings.model_validate({"name": "tasks", **(address or {"dsn": DSN})})
    (source,) = SPEC.sources(Settings(databases=(database,)), clients)
    assert isinstance(source, PolledSource)
    return source


async def test_activity_becomes_connections_by_state_and_the_ratio_of_the_limit() -> None:
    clients = FakeClients()
    source = one(clients)
    clients.database(DSN, statement_timeout=Settings().statement_timeout).reply = [
        row("active", 1),
        row("idle", 20),
        row("idle in transaction", 2),
        row("idle in transaction (aborted)", 3),
        row("fastpath function call", 1),
        row(None, 1),
        row("idle", 69, here=False),
    ]
    assert lines(await source.collect()) == [
        'kpi_postgres_up{database="tasks"} 1',
        'kpi_postgres_connections{database="tasks",state="active"} 1',
        'kpi_postgres_connections{database="tasks",state="idle"} 20',
        'kpi_postgres_connections{database="tasks",state="idle_in_transaction"} 2',
        'kpi_postgres_connections{database="tasks",state="idle_in_transaction_aborted"} 3',
        'kpi_postgres_connections{database="tasks",state="other"} 2',
        'kpi_postgres_connections_used{database="tasks"} 97',
        'kpi_postgres_max_connections{database="tasks"} 97',
        "database_connections_ratio{tasks} = 1",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"state": None, "here": None, "connections": 1, "usable": None}],
        [{"state": "idle", "here": True, "connections": None, "usable": 0}],
    ],
)
async def test_without_a_limit_the_ratio_is_unknown(rows: list[Mapping[str, object]]) -> None:
    clients = FakeClients()
    source = one(clients)
    clients.database(DSN, statement_timeout=Settings().statement_timeout).reply = rows
    found = await source.collect()
    assert found.readings == ()
    assert lines(found)[0] == 'kpi_postgres_up{database="tasks"} 1'
    assert not any("max_connections" in line for line in lines(found))


async def test_a_database_that_is_away_is_a_sample_of_zero() -> None:
    clients = FakeClients()
    source = one(clients)
    clients.database(DSN, statement_timeout=Settings().statement_timeout).reply = TransientError("")
    assert lines(await source.collect()) == ['kpi_postgres_up{database="tasks"} 0']


async def test_where_the_fault_is_ours_nothing_is_said_of_the_database() -> None:
    clients = FakeClients()
    source = one(clients)
    clients.database(DSN, statement_timeout=Settings().statement_timeout).reply = PermanentError("")
    with pytest.raises(PermanentError):
        await source.collect()


async def test_an_address_that_changes_moves_the_one_connection(tmp_path: Path) -> None:
    clients = FakeClients()
    file = tmp_path / "dsn"
    source = one(clients, dsn_file=file)
    with pytest.raises(PermanentError, match="FileNotFoundError"):
        await source.collect()
    for dsn in ("postgresql://a\n", "postgresql://b\n"):
        file.write_text(dsn)
        await source.collect()
        await source.collect()
    assert {dsn: database.closed for dsn, database in clients.databases.items()} == {
        "postgresql://a": 1,
        "postgresql://b": 0,
    }


@pytest.mark.parametrize("address", [{}, {"dsn": DSN, "dsn_file": "/x"}])
def test_a_database_has_exactly_one_address(address: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError, match="either dsn or dsn_file"):
        DatabaseSettings.model_validate({"name": "x", **address})


def test_an_address_is_not_shown() -> None:
    database = DatabaseSettings.model_validate({"name": "x", "dsn": "postgresql://u:secret@h"})
    assert "secret" not in f"{database!r}{database.model_dump_json()}"
