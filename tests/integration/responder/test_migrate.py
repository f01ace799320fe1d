"""`alert-responder migrate`: needed before the first replica, and harmless ever after."""

import asyncio
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from tests.bed import responder as beds
from tests.bed.databases import migrated
from tests.bed.postgres import Postgres
from tests.bed.process import run_tool
from tests.bed.scripted_api import ScriptedApi
from tests.bed.settings import Places, write_configuration

pytestmark = pytest.mark.timeout(90)


def configured(root: Path, dsn: str) -> Path:
    api = ScriptedApi()
    api.url = "http://127.0.0.1:1"
    places = Places(
        root=root,
        kubeconfig=api.kubeconfig(root),
        exporter_port=0,
        responder_port=0,
        probe_url="http://127.0.0.1:1",
        postgres_dsn="postgresql://127.0.0.1:1/none",
        pager_url="http://127.0.0.1:1",
        mail_port=1,
        store_dsn=dsn,
    )
    return write_configuration(places, factor=1).responder


async def run(command: str, config: Path) -> CompletedProcess[str]:
    argv = ("-m", "responder", command, "--config", config)
    return await asyncio.to_thread(run_tool, sys.executable, *argv)


async def test_serve_refuses_an_empty_database_and_names_the_command(
    postgres: Postgres, tmp_path: Path
) -> None:
    config = configured(tmp_path, await postgres.create_database(tmp_path.name))
    refused = await run("serve", config)
    assert refused.returncode == 1
    assert "alert-responder migrate" in refused.stderr
    assert await postgres.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []
    first, second = await run("migrate", config), await run("migrate", config)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "went from nothing to" in first.stdout
    assert "nothing to do" in second.stdout


async def test_serve_refuses_the_tables_of_an_older_engine(
    postgres: Postgres, tmp_path: Path
) -> None:
    dsn = await migrated(postgres)
    config = configured(tmp_path, dsn)
    name = dsn.rpartition("/")[2]
    await postgres.execute("UPDATE dbos.dbos_migrations SET version = version - 1", name)
    refused = await run("serve", config)
    assert refused.returncode == 1
    assert "alert-responder migrate" in refused.stderr


async def test_a_string_that_is_no_connection_string_is_not_shown(
    postgres: Postgres,  # noqa: ARG001 - the fixtures of the folder
    tmp_path: Path,
) -> None:
    refused = await run("migrate", configured(tmp_path, "postgresql://me:hunter2@[::1/x"))
    assert refused.returncode == 1
    assert "hunter2" not in refused.stdout + refused.stderr
    assert "connection string" in refused.stderr


async def test_migrating_beside_running_replicas_changes_nothing_for_them(
    postgres: Postgres, tmp_path: Path
) -> None:
    async with beds.start(tmp_path, postgres=postgres) as alone:
        config = alone.files.responder
        both = await asyncio.gather(run("migrate", config), run("migrate", config))
        assert [one.returncode for one in both] == [0, 0]
        status, found = await alone.call("GET", "/readyz")
        assert (status, found) == (200, {"ready": True, "missing": []})


async def test_a_shared_database_is_migrated_where_nothing_can_be_written(
    postgres: Postgres, tmp_path: Path
) -> None:
    """The chart's hook has a file system that is read-only, and no volume."""
    config = configured(tmp_path, await postgres.create_database(tmp_path.name))
    document = yaml.safe_load(config.read_text())
    document["data_dir"] = "/proc/nowhere"
    config.write_text(yaml.safe_dump(document))
    done = await run("migrate", config)
    assert done.returncode == 0, done.stderr
