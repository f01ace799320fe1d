"""What the console's answers become, whatever is missing in them; rows are those of 1.18."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from pydantic import ValidationError

from exporter.collectors.pgbouncer import PARTS, SPEC, Settings
from exporter.contract import Collected, PolledSource
from exporter.shared.errors import PermanentError, TransientError
from exporter.sql_port import QueryRefusedError
from tests.fake_clients import FakeClients, FakeConsole, Outcome, lines

DSN = "postgresql://stats@127.0.0.1/pgbouncer"
IDLE = {"sv_active_cancel": 0, "sv_being_canceled": 0, "sv_idle": 0, "sv_used": 0, "sv_tested": 0}
POOL = {
    "database": "taskmanager",
    "user": "postgres",
    "cl_active": 2,
    "cl_waiting": 3,
    "cl_active_cancel_req": 0,
    "cl_waiting_cancel_req": 0,
    "sv_active": 2,
    **IDLE,
    "sv_login": 0,
    "maxwait": 1,
    "maxwait_us": 503370,
    "pool_mode": "transaction",
}
OWN = {**POOL, "database": "pgbouncer", "user": "pgbouncer", "cl_active": 1}
STATS = {
    "database": "taskmanager",
    "total_xact_count": Decimal(5),
    "total_query_count": Decimal(7),
    "total_received": Decimal(52),
    "total_sent": Decimal(30),
    "total_xact_time": Decimal(2500),
    "total_query_time": Decimal(2000),
    "total_wait_time": Decimal(26366),
    "avg_xact_count": Decimal(3),
}
DATABASE = {
    "name": "taskmanager",
    "host": "127.0.0.1",
    "port": 5432,
    "database": "taskmanager",
    "force_user": None,
    "pool_size": 2,
    "min_pool_size": 0,
    "reserve_pool": 1,
    "pool_mode": None,
    "max_connections": 0,
    "current_connections": 2,
    "paused": 0,
    "disabled": 0,
}
REPLIES: dict[str, Outcome] = {
    "POOLS": [OWN, POOL],
    "STATS": [{**STATS, "database": "pgbouncer"}, STATS],
    "DATABASES": [{**DATABASE, "name": "pgbouncer"}, DATABASE],
    "LISTS": [{"list": "used_clients", "items": 6}],
    "CONFIG": [
        {"key": "listen_addr", "value": "127.0.0.1"},
        {"key": "max_client_conn", "value": "50"},
    ],
    "VERSION": [{"version": "PgBouncer 1.18.0"}],
}


def one(**settings: object) -> tuple[PolledSource, FakeConsole]:
    clients = FakeClients()
    made = Settings.model_validate({"poolers": [{"name": "main", "dsn": DSN}], **settings})
    (source,) = SPEC.sources(made, clients)
    assert isinstance(source, PolledSource)
    console = clients.pgbouncer(DSN)
    console.replies = dict(REPLIES)
    return source, console


def short(collected: Collected) -> list[str]:
    """Write what is told, without what all series share; failures are looked at on their own."""
    text = [line.removeprefix("kpi_pgbouncer_") for line in lines(collected)]
    text = [
        line.replace('{pgbouncer="main"}', "").replace('pgbouncer="main",', "") for line in text
    ]
    return [line for line in text if not line.startswith("part_failures")]


async def test_the_console_s_answers_become_series() -> None:
    source, _ = one()
    pool, database = 'database="taskmanager",user="postgres"', '{database="taskmanager"}'
    assert short(await source.collect()) == [
        "up 1",
        "pools 1",
        f'clients{{{pool},state="active"}} 2',
        f'clients{{{pool},state="waiting"}} 3',
        f'clients{{{pool},state="cancelling"}} 0',
        f'clients{{{pool},state="waiting_to_cancel"}} 0',
        f'servers{{{pool},state="active"}} 2',
        f'servers{{{pool},state="idle"}} 0',
        f'servers{{{pool},state="used"}} 0',
        f'servers{{{pool},state="tested"}} 0',
        f'servers{{{pool},state="login"}} 0',
        f'servers{{{pool},state="cancelling"}} 0',
        f'servers{{{pool},state="being_cancelled"}} 0',
        f"longest_wait_seconds{{{pool}}} 1.50337",
        f"transactions_total{database} 5",
        f"queries_total{database} 7",
        f"received_bytes_total{database} 52",
        f"sent_bytes_total{database} 30",
        f"transaction_seconds_total{database} 0.0025",
        f"query_seconds_total{database} 0.002",
        f"client_wait_seconds_total{database} 0.026366",
        f"pool_size{database} 2",
        f"reserve_pool_size{database} 1",
        f"database_connections{database} 2",
        f"database_paused{database} 0",
        f"database_disabled{database} 0",
        'items{list="used_clients"} 6',
        "max_clients 50",
        'info{version="1.18.0"} 1',
        "database_pool_ratio{taskmanager,main} = 1",
    ]


@pytest.mark.parametrize("show", PARTS)
async def test_each_column_may_be_missing_or_empty(show: str) -> None:
    whole = {line.rpartition(" ")[0] for line in short(await one()[0].collect())}
    reply = REPLIES[show]
    assert not isinstance(reply, Exception)
    for column in reply[-1]:
        for rows in (
            [{name: value for name, value in row.items() if name != column} for row in reply],
            [{**row, column: None} for row in reply],
        ):
            source, console = one()
            console.replies[show] = rows
            found = short(await source.collect())
            assert found[0] == "up 1"
            if column not in {"database", "user", "name", "list", "key"}:  # which name the subject
                assert {line.rpartition(" ")[0] for line in found} <= whole, column


async def test_columns_of_other_versions_are_read_too() -> None:
    source, console = one()
    older = {name: value for name, value in POOL.items() if not name.endswith("cancel_req")}
    console.replies["POOLS"] = [{**older, "cl_cancel_req": 4}]
    console.replies["DATABASES"] = [
        {"name": "taskmanager", "pool_size": "4", "reserve_pool_size": "3", "max_connections": "9"}
    ]
    found = short(await source.collect())
    assert 'clients{database="taskmanager",user="postgres",state="cancelling"} 4' in found
    assert 'reserve_pool_size{database="taskmanager"} 3' in found
    assert 'database_max_connections{database="taskmanager"} 9' in found
    assert found[-1] == "database_pool_ratio{taskmanager,main} = 0.5"


async def test_of_many_pools_those_with_most_clients_are_told_and_all_are_counted() -> None:
    source, console = one(max_pools=2)
    console.replies["POOLS"] = [
        {**POOL, "user": user, "cl_active": active, "cl_waiting": waiting}
        for user, active, waiting in (("a", 9, 0), ("b", 1, 5), ("c", 10, 0), ("d", 8, 0))
    ]
    found = short(await source.collect())
    assert "pools 4" in found
    assert {line.split('user="')[1][0] for line in found if "user=" in line} == {"b", "c"}


@pytest.mark.parametrize("show", PARTS)
async def test_one_refused_answer_costs_its_own_part_only(show: str) -> None:
    source, console = one()
    console.replies[show] = QueryRefusedError("", "Other")
    found = lines(await source.collect())
    assert found[0] == 'kpi_pgbouncer_up{pgbouncer="main"} 1'
    assert f'kpi_pgbouncer_part_absent{{pgbouncer="main",part="{show}"}} 1' in found
    assert f'kpi_pgbouncer_part_failures_total{{pgbouncer="main",part="{show}"}} 1' in found
    others = [part for part in PARTS if part != show]
    for part in others:
        assert f'kpi_pgbouncer_part_failures_total{{pgbouncer="main",part="{part}"}} 0' in found


async def test_a_pgbouncer_that_is_away_is_a_sample_of_zero() -> None:
    source, console = one()
    console.replies["STATS"] = TransientError("")
    assert lines(await source.collect()) == ['kpi_pgbouncer_up{pgbouncer="main"} 0']


async def test_where_the_fault_is_ours_nothing_is_said_of_it() -> None:
    source, console = one()
    console.replies["POOLS"] = PermanentError("")
    with pytest.raises(PermanentError):
        await source.collect()


async def test_a_pool_without_a_size_has_no_ratio() -> None:
    source, console = one()
    console.replies["DATABASES"] = [{**DATABASE, "pool_size": 0}]
    assert (await source.collect()).readings == []


@pytest.mark.parametrize(
    "poolers", [[{"name": "a"}], [{"name": "a", "dsn": DSN}, {"name": "a", "dsn": DSN}]]
)
def test_settings_name_each_place_once(poolers: list[Mapping[str, object]]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"poolers": poolers})
