"""Who holds which sessions, as evidence tells it, from a real PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from exporter.shared.clock import SystemClock
from exporter.shared.errors import PermanentError, TransientError
from responder.domain.values import Target
from responder.gateways.postgres import PostgresGateway
from responder.gateways.prometheus import PrometheusGateway
from tests.bed.postgres import Postgres
from tests.bed.process import free_port
from tests.bed.steps import ACTIONS, Step, no_cluster

SECRET = "hunter2"  # noqa: S105 - what must never be told


@asynccontextmanager
async def watched(root: Path) -> AsyncIterator[tuple[Postgres, PostgresGateway]]:
    async with Postgres.start(root) as server:
        file = root / "dsn"
        file.write_text(server.dsn("postgres") + "\n")
        yield server, PostgresGateway({"taskmanager": file})


async def test_sessions_are_told_by_whom_they_belong_to_and_how_long_they_wait(
    tmp_path: Path,
) -> None:
    async with watched(tmp_path) as (server, gateway):
        settings = {"application_name": "task-manager"}
        held = await asyncpg.connect(server.dsn("postgres"), server_settings=settings)
        try:
            await held.execute("BEGIN")
            await held.execute(f"SELECT '{SECRET}', 42")
            (session,) = await gateway.activity("taskmanager")
            assert (session.application, session.user) == ("task-manager", "postgres")
            assert session.state == "idle in transaction"
            assert session.seconds is not None
            assert 0 <= session.seconds < 60
            assert session.wait == "Client/ClientRead"
            said = await _evidence(gateway)
            assert said.startswith("1 idle in transaction of task-manager")
            assert "SELECT '…', 42" in said
            assert SECRET not in said
        finally:
            held.terminate()


async def _evidence(gateway: PostgresGateway) -> str:
    metrics = PrometheusGateway(f"http://127.0.0.1:{free_port()}")
    step = Step(no_cluster(), metrics, databases=gateway)
    spec = ACTIONS["collect_evidence"]
    context = step.context(intent_at=SystemClock().now(), labels={"database": "taskmanager"})
    target = Target("Deployment", "default", "task-manager")
    params = spec.params()
    plan = await spec.action.plan(target, params, context)
    try:
        await spec.action.apply(plan, params, context)
    finally:
        await metrics.close()
    return step.attached["sessions of taskmanager"]


async def test_what_cannot_be_read_is_said_without_the_dsn(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(f"postgresql://someone:{SECRET}@127.0.0.1:{free_port()}/x")
    bad.write_text(f"postgresql://someone:{SECRET}@127.0.0.1:port/x")
    gateway = PostgresGateway({"away": good, "bad": bad, "none": tmp_path / "none"})
    for name, kind in {
        "away": TransientError,
        "bad": PermanentError,
        "none": PermanentError,
        "unknown": PermanentError,
    }.items():
        with pytest.raises(kind) as error:
            await gateway.activity(name)
        assert SECRET not in repr(error.value)
