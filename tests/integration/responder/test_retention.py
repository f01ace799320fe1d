"""A responder that starts on a store of long ago forgets what is over, and nothing else."""

import asyncio
import json
import re
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from exporter.shared.clock import SystemClock
from responder.domain.values import Json, JsonObject
from tests.bed import responder as beds
from tests.bed.postgres import Postgres
from tests.bed.process import run_tool, wait_until
from tests.bed.responder import Alone

pytestmark = pytest.mark.timeout(180)  # two starts and a command: slow while others work

POLICY = """
version: 1
targets:
  workload: {kind: $workload_type, namespace: $namespace, name: $workload}
runbooks:
  - name: watched
    match: ['severity="critical"']
    target: workload
    mode: observe
    steps: [{restart: {}}]
    limits: {cooldown: 1s}
escalation:
  default: [{after: 0m, notify: [oncall-pager]}]
"""
TWO_YEARS = timedelta(days=730)
BACKDATED = (
    "UPDATE incidents SET closed_at = closed_at - {us}",
    "UPDATE episodes SET ended_at = ended_at - {us} WHERE ended_at IS NOT NULL",
    "UPDATE runs SET ended_at = ended_at - {us}",
    "UPDATE steps SET intent_at = intent_at - {us} WHERE intent_at IS NOT NULL",
    "UPDATE inbox SET ended_at = ended_at - {us}",
)
"""What went by long ago; when an alert that fires on was last repeated is left alone."""
WORKFLOWS_BACKDATED = "UPDATE workflow_status SET completed_at = completed_at - {ms}"
LOGIN = "INSERT INTO sessions (id, name, began_at, ends_at) VALUES (:id, 'oncall', :ends, :ends)"
RECORDED = "SELECT DISTINCT workflow_uuid FROM operation_outputs"


def delivery(name: str, starts: datetime, ends: datetime | None = None) -> JsonObject:
    labels: JsonObject = {
        "alertname": f"Fires on {name}",
        "severity": "critical",
        "namespace": "default",
        "workload": name,
        "workload_type": "deployment",
    }
    alert: JsonObject = {
        "status": "resolved" if ends else "firing",
        "labels": labels,
        "annotations": {},
        "startsAt": starts.isoformat(),
        "endsAt": ends.isoformat() if ends else "0001-01-01T00:00:00Z",
        "fingerprint": name.encode().hex().zfill(16),
    }
    return {"version": "4", "receiver": "runbookd", "truncatedAlerts": 0, "alerts": [alert]}


async def post(alone: Alone, body: JsonObject) -> None:
    answer = await alone.call("POST", "/api/v1/alerts", who="alertmanager", body=body)
    assert answer == (200, "stored\n")


async def about(alone: Alone, name: str) -> list[JsonObject]:
    """Return the incidents on a workload, newest first."""
    _, found = await alone.call("GET", "/api/v1/incidents", who="console")
    assert isinstance(found, list)
    start = f"Fires on {name} "
    return [one for one in found if isinstance(one, dict) and str(one["title"]).startswith(start)]


async def until(alone: Alone, name: str, status: str) -> Json:
    """Wait until the incident on a workload has a status, and return its number."""

    async def seen() -> Json:
        found = await about(alone, name)
        return next((one["id"] for one in found if one["status"] == status), None)

    return await wait_until(seen, 30, f"the incident on {name} is {status}")


async def over(alone: Alone, name: str, fires: JsonObject) -> Json:
    """Have an alert fire on a workload, and a person say that its incident is over."""
    await post(alone, fires)
    number = await until(alone, name, "open")

    async def run_ended() -> bool:
        _, shown = await alone.call("GET", f"/api/v1/incidents/{number}", who="console")
        return "ended refused" in str(shown)

    await wait_until(run_ended, 30, f"the end of the run on {name}")
    status, _ = await alone.call(
        "POST", f"/api/v1/incidents/{number}/resolve", who="oncall", body={"why": "seen to"}
    )
    assert status == 200
    return number


async def execute(
    alone: Alone, statement: str, *, engine: bool = False
) -> list[tuple[object, ...]]:
    """Run a statement on the responder's own tables, or on those of the engine's library."""
    if alone.places.store_dsn:
        named = re.sub(r"\b(workflow_status|operation_outputs)\b", r"dbos.\1", statement)
        connection = await asyncpg.connect(alone.places.store_dsn, timeout=5)
        rows = await connection.fetch(named if engine else statement)
        await connection.close()
        return [tuple(row) for row in rows]
    file = "engine.db" if engine else "responder.db"
    with closing(sqlite3.connect(alone.places.root / "responder" / file, timeout=10)) as db, db:
        return db.execute(statement).fetchall()


async def pruned(alone: Alone) -> str:
    """Wait until the running responder has pruned once, and return its metrics."""

    async def metrics() -> str:
        _, text = await alone.call("GET", "/metrics")
        is_done = 'responder_last_prune_timestamp_seconds{table="incidents"}' in str(text)
        return str(text) if is_done else ""

    return await wait_until(metrics, 30, "the end of a prune")


async def past(alone: Alone) -> dict[str, Json]:
    """Ask the command how many rows of some tables are past their time."""
    argv = ("-m", "responder", "retention", "-o", "json", "-c", alone.files.responder)
    ran = await asyncio.to_thread(run_tool, sys.executable, *argv)
    assert ran.returncode == 0, ran.stderr
    wanted = ("incidents", "runs", "episodes", "inbox")
    return {row["table"]: row["past"] for row in json.loads(ran.stdout) if row["table"] in wanted}


async def logins(alone: Alone) -> set[object]:
    return {one for (one,) in await execute(alone, "SELECT id FROM sessions")}


async def workflows(alone: Alone) -> set[object]:
    found = await execute(alone, "SELECT workflow_uuid FROM workflow_status", engine=True)
    return {one for (one,) in found if str(one).startswith("incident-")}


async def test_what_is_over_is_forgotten_and_an_alert_that_fires_on_is_not(
    tmp_path: Path, shared: Postgres | None
) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "policy.yaml").write_text(POLICY)
    async with beds.start(tmp_path, policies=tmp_path / "policies", postgres=shared) as alone:
        await pruned(alone)
        now = SystemClock().now()
        began = now - timedelta(minutes=1)
        fires = {name: delivery(name, began) for name in ("gone", "stays")}
        gone, stays = [await over(alone, name, body) for name, body in fires.items()]
        await post(alone, delivery("gone", began, now))
        for name in ("gone", "stays"):
            await until(alone, name, "closed")
        before = await workflows(alone)
        assert len(before) == 4

        await alone.responder.stop()
        for statement in BACKDATED:
            await execute(alone, statement.format(us=TWO_YEARS // timedelta(microseconds=1)))
        milliseconds = TWO_YEARS // timedelta(milliseconds=1)
        await execute(alone, WORKFLOWS_BACKDATED.format(ms=milliseconds), engine=True)
        assert await past(alone) == {"incidents": 1, "runs": 1, "episodes": 1, "inbox": 3}
        for name, hours in ("past", 25), ("late", 23):
            ended = (now - timedelta(hours=hours)).timestamp() * 1_000_000
            await alone.write(LOGIN, id=name, ends=int(ended))
        await alone.responder.start()

        metrics = await pruned(alone)
        assert await logins(alone) == {"late"}
        for rows in ('incidents"} 1.0', 'inbox"} 3.0', 'workflows"} 2.0'):
            assert f'responder_pruned_rows_total{{table="{rows}' in metrics
        status, _ = await alone.call("GET", f"/api/v1/incidents/{gone}", who="console")
        assert status == 404
        assert {str(one) for one in before - await workflows(alone)} == {
            f"incident-{gone}",
            f"incident-{gone}-run-1",
        }
        recorded = await execute(alone, RECORDED, engine=True)
        assert {str(one) for (one,) in recorded} == {f"incident-{stays}", f"incident-{stays}-run-1"}
        log = alone.responder.log.read_text()
        assert re.search(r'"incidents": 1.*"event": "pruned"|pruned.*incidents=1', log)

        await post(alone, fires["stays"])  # Alertmanager repeats it
        await post(alone, delivery("gone", SystemClock().now()))
        newer = await until(alone, "gone", "open")
        assert int(str(newer)) > int(str(stays))
        assert [one["id"] for one in await about(alone, "stays")] == [stays]
