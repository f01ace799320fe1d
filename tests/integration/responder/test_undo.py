"""What was done for a while only is taken back, by a run of its own and through the same gate."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from responder.client import ApiClient
from responder.domain.values import Json, JsonObject
from tests.bed import manifests
from tests.bed import responder as beds
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until
from tests.bed.responder import Alone

pytestmark = pytest.mark.timeout(120)

TARGET = f"deployment/{manifests.NAMESPACE}/{manifests.NAME}"


def body(duration: str) -> JsonObject:
    params: JsonObject = {"to": 2, "for": duration}
    return {"action": "scale", "target": TARGET, "params": params}


def alert(starts: datetime) -> JsonObject:
    labels: JsonObject = {
        "alertname": "KpiPodRestarting",
        "severity": "warning",
        "namespace": manifests.NAMESPACE,
        "workload": manifests.NAME,
        "workload_type": "deployment",
    }
    fires: JsonObject = {
        "status": "firing",
        "labels": labels,
        "annotations": {},
        "startsAt": starts.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "00000000000000aa",
    }
    return {"version": "4", "receiver": "runbookd", "truncatedAlerts": 0, "alerts": [fires]}


async def replicas(alone: Alone) -> int:
    spec = (await alone.deployment())["spec"]
    assert isinstance(spec, dict)
    return int(spec["replicas"])


async def call(alone: Alone, method: str, path: str, body: Json = None) -> Json:
    client = ApiClient(alone.responder.url, alone.places.token_file("oncall"))
    return await asyncio.to_thread(client.call, method, path, body)


async def timeline(alone: Alone, number: Json) -> list[str]:
    found = await call(alone, "GET", f"/api/v1/incidents/{number}")
    assert isinstance(found, dict)
    lines = found["timeline"]
    assert isinstance(lines, list)
    return [str(line["text"]) for line in lines if isinstance(line, dict)]


async def taken_back(alone: Alone, number: Json, within: float) -> list[str]:
    """Wait, so many seconds at most, for the end of the second run; return the timeline."""

    async def ended() -> list[str]:
        said = await timeline(alone, number)
        return said if any("Run 2 of runbook undo scale ended" in one for one in said) else []

    return await wait_until(ended, within, "the end of the run that took it back")


async def test_a_scale_for_a_while_is_taken_back_also_by_a_later_incarnation(
    tmp_path: Path, shared: Postgres | None
) -> None:
    async with beds.start(tmp_path, postgres=shared) as alone:
        answer = await call(alone, "POST", "/api/v1/runs", body("6s"))
        assert isinstance(answer, dict)

        async def scaled(to: int) -> bool:
            return await replicas(alone) == to

        await wait_until(lambda: scaled(2), 20, "two pods")
        await alone.responder.kill()
        await alone.responder.start()
        await wait_until(lambda: scaled(1), 30, "the one pod of before")
        said = await taken_back(alone, answer["incident"], within=20)
        assert any("Run 2 of runbook undo scale (act, not before " in one for one in said)
        assert sum(one.startswith(f"Applied: scale {TARGET}") for one in said) == 2


async def test_an_alert_that_fires_meanwhile_does_not_keep_it_from_being_taken_back(
    tmp_path: Path, shared: Postgres | None
) -> None:
    async with beds.start(tmp_path, postgres=shared) as alone:
        answer = await call(alone, "POST", "/api/v1/runs", body("15s"))
        assert isinstance(answer, dict)
        number = answer["incident"]

        async def resolved() -> bool:
            found = await call(alone, "GET", f"/api/v1/incidents/{number}")
            assert isinstance(found, dict)
            return found["status"] == "resolved"

        await wait_until(resolved, 30, "the end of what a person ran")
        fired = alert(SystemClock().now())
        posted = await alone.call("POST", "/api/v1/alerts", who="alertmanager", body=fired)
        assert posted[0] == 200
        said = await taken_back(alone, number, within=60)
        assert await replicas(alone) == 1
        assert "KpiPodRestarting fires." in said
