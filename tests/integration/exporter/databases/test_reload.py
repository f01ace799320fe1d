"""A database that leaves the settings is left alone, and the others keep their connection."""

import pytest

from exporter import app
from exporter.settings import ExporterSettings
from exporter.shared.clock import SystemClock
from exporter.shared.config import read_yaml, validate
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHIN = 20.0


async def test_a_database_that_leaves_the_settings_loses_its_connection_alone(
    postgres: Postgres,
) -> None:
    specs = app.collectors()
    model = app.model(specs)

    def settings(*names: str) -> ExporterSettings:
        databases = [{"name": name, "dsn": postgres.dsn(name)} for name in names]
        text = f"collectors: {{postgres: {{interval: 200ms, databases: {databases}}}}}"
        return validate(model, read_yaml(text, file="exporter.yaml"))

    async def connected() -> dict[str, int]:
        rows = await postgres.execute(
            "SELECT datname, pid FROM pg_stat_activity WHERE application_name LIKE 'runbookd%'"
        )
        return {row["datname"]: row["pid"] for row in rows}

    await postgres.create_database("other")
    async with app.running(settings("taskmanager", "other"), specs, SystemClock()) as work:

        async def both() -> bool:
            return set(await connected()) == {"taskmanager", "other"}

        async def one() -> bool:
            return set(await connected()) == {"taskmanager"}

        await wait_until(both, WITHIN, "both databases are connected to")
        before = await connected()
        changes = await work.follow(settings("taskmanager"))
        assert changes.stopped == ("postgres/other",)
        await wait_until(one, WITHIN, "the other database is left alone")
        assert (await connected())["taskmanager"] == before["taskmanager"]
        assert b'source="other"' not in work.document().text()
