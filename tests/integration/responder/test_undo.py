"""What was done for a while only is taken back, by a run of its own and through the same gate."""

import asyncio
from pathlib import Path

import pytest

from responder.client import ApiClient
from responder.domain.values import Json, JsonObject
from tests.bed import manifests
from tests.bed import responder as beds
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until
from tests.bed.responder import Alone

pytestmark = pytest.mark.timeout(60)

TARGET = f"deployment/{manifests.NAMESPACE}/{manifests.NAME}"


def body(duration: str) -> JsonObject:
    params: JsonObject = {"to": 2, "for": duration}
    return {"action": "scale", "target": TARGET, "params": params}


async def replicas(alone: Alone) -> int:
    found = await alone.cluster.get("Deployment", manifests.NAMESPACE, manifests.NAME)
    assert found is not None
    spec = found["spec"]
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
        number = answer["incident"]

        async def ended() -> bool:
            said = await timeline(alone, number)
            return any("Run 2 of runbook undo scale ended" in one for one in said)

        await wait_until(ended, 20, "the end of the run that took it back")
        said = await timeline(alone, number)
        assert any("Run 2 of runbook undo scale (act, not before " in one for one in said)
        assert sum(one.startswith(f"Applied: scale {TARGET}") for one in said) == 2
