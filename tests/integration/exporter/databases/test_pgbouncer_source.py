"""The pgbouncer collector on a real pgbouncer before a real server."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from exporter.clients.open import OpenClients
from exporter.collectors.pgbouncer import SPEC, Settings
from exporter.contract import PolledSource
from exporter.shared.clock import SystemClock
from exporter.shared.errors import PermanentError, TransientError
from exporter.sql_port import QueryRefusedError
from tests.bed.pgbouncer import Pgbouncer
from tests.bed.postgres import Postgres
from tests.bed.process import free_port, wait_until
from tests.fake_clients import lines

pytestmark = pytest.mark.asyncio(loop_scope="module")

POOL = 'pgbouncer="main",database="taskmanager",user="postgres"'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pgbouncer]:
    async with Pgbouncer.start(tmp_path_factory.mktemp("pgbouncer"), postgres) as running:
        yield running


def source(clients: OpenClients, dsn: str) -> PolledSource:
    settings = Settings.model_validate({"poolers": [{"name": "main", "dsn": dsn}]})
    (found,) = SPEC.sources(settings, clients)
    assert isinstance(found, PolledSource)
    return found


async def test_clients_that_wait_are_seen_and_for_how_long(
    pool: Pgbouncer, clients: OpenClients
) -> None:
    main = source(clients, pool.console)
    dsn = pool.dsn("taskmanager")
    waiting = [await asyncpg.connect(dsn, statement_cache_size=0) for _ in range(5)]
    sleeping = [asyncio.create_task(each.execute("SELECT pg_sleep(1)")) for each in waiting]

    async def queued() -> list[str]:
        found = lines(await main.collect())
        return found if f'kpi_pgbouncer_clients{{{POOL},state="waiting"}} 3' in found else []

    found = await wait_until(queued, 5, "three of five clients wait for one of two servers")
    assert f'kpi_pgbouncer_servers{{{POOL},state="active"}} 2' in found
    assert "database_pool_ratio{taskmanager,main} = 1" in found
    assert 'kpi_pgbouncer_max_clients{pgbouncer="main"} 50' in found
    (wait,) = [line for line in found if line.startswith("kpi_pgbouncer_longest_wait_seconds")]
    assert 0 < float(wait.rpartition(" ")[2]) < 2
    await asyncio.gather(*sleeping)
    for each in waiting:
        await each.close()
    found = lines(await main.collect())
    assert f'kpi_pgbouncer_clients{{{POOL},state="waiting"}} 0' in found
    assert "database_pool_ratio{taskmanager,main} = 0" in found
    assert not any("part_absent" in line for line in found)


async def test_passes_share_one_connection(pool: Pgbouncer, clients: OpenClients) -> None:
    main = source(clients, pool.console)
    for _ in range(3):
        await main.collect()
    rows = await clients.pgbouncer(pool.console).show("CLIENTS")
    assert [row["user"] for row in rows if row["database"] == "pgbouncer"] == ["stats"]


async def test_what_the_console_does_not_know_is_refused_and_the_connection_stays(
    pool: Pgbouncer, clients: OpenClients
) -> None:
    console = clients.pgbouncer(pool.console)
    with pytest.raises(QueryRefusedError, match="SHOW NONSENSE"):
        await console.show("NONSENSE")
    assert await console.show("VERSION")


async def test_nobody_listening_and_nobody_let_in_are_both_away_and_say_no_secret(
    pool: Pgbouncer, clients: OpenClients
) -> None:
    stranger = f"postgresql://geheim:geheim@127.0.0.1:{pool.port}/pgbouncer"
    for dsn in (f"postgresql://u:geheim@127.0.0.1:{free_port()}/pgbouncer", stranger):
        with pytest.raises(TransientError) as error:
            await clients.pgbouncer(dsn).show("POOLS")
        assert "geheim" not in str(error.value)
        assert error.value.__suppress_context__
        assert lines(await source(clients, dsn).collect()) == [
            'kpi_pgbouncer_up{pgbouncer="main"} 0'
        ]


@pytest.mark.parametrize("dsn", ["", "geheim", "postgresql://u:geheim@h/x?nonsense=1"])
async def test_an_address_that_is_none_is_our_fault_and_not_shown(
    clients: OpenClients, dsn: str
) -> None:
    with pytest.raises(PermanentError) as error:
        await source(clients, dsn).collect()
    assert "geheim" not in str(error.value)


async def test_a_pgbouncer_that_hangs_costs_the_time_of_a_pass_and_no_more(
    pool: Pgbouncer, clients: OpenClients
) -> None:
    main = source(clients, pool.console)
    await main.collect()
    clock = SystemClock()
    pool.process.send(signal.SIGSTOP)
    began = clock.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await main.collect()
    assert clock.monotonic() - began < 2
    pool.process.send(signal.SIGCONT)
    assert lines(await main.collect())[0].endswith(" 1")


async def test_a_pgbouncer_that_comes_back_is_found_again(
    tmp_path: Path, clients: OpenClients
) -> None:
    async with Postgres.start(tmp_path) as server:
        port = str(free_port())
        async with Pgbouncer.start(tmp_path, server, {"listen_port": port}) as first:
            main = source(clients, first.console)
            assert lines(await main.collect())[0].endswith(" 1")
        assert lines(await main.collect()) == ['kpi_pgbouncer_up{pgbouncer="main"} 0']
        async with Pgbouncer.start(tmp_path, server, {"listen_port": port}):
            assert lines(await main.collect())[0].endswith(" 1")
