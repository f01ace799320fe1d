"""The API as people and programs meet it: roles, runs, the kill switch, errors that help."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import pytest_asyncio

from responder.domain.values import Json, JsonObject
from tests.bed import responder as beds
from tests.bed.postgres import Postgres
from tests.bed.process import wait_until
from tests.bed.responder import Alone

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(90)]

TARGET = "deployment/default/task-manager"
OPERATOR, VIEWER, ALERTMANAGER = "oncall", "console", "alertmanager"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(
    tmp_path_factory: pytest.TempPathFactory, shared: Postgres | None
) -> AsyncIterator[Alone]:
    async with beds.start(tmp_path_factory.mktemp("api"), postgres=shared) as running:
        yield running


async def call(
    alone: Alone, method: str, path: str, *, who: str = "", body: Json = None
) -> tuple[int, Json]:
    headers = {"Authorization": f"Bearer {alone.places.token(who)}"} if who else {}
    async with (
        aiohttp.ClientSession(alone.responder.url, headers=headers) as session,
        session.request(method, path, json=body) as answer,
    ):
        as_json = answer.content_type == "application/json"
        return answer.status, await answer.json() if as_json else await answer.text()


def delivery(
    status: str, labels: dict[str, str], starts_at: datetime, fingerprint: str = "00000000000000aa"
) -> JsonObject:
    ends = "0001-01-01T00:00:00Z" if status == "firing" else datetime.now(UTC).isoformat()  # noqa: TID251 - an end that is now
    return {
        "version": "4",
        "status": status,
        "receiver": "runbookd",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "externalURL": "http://alertmanager",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "alerts": [
            {
                "status": status,
                "labels": dict(labels),
                "annotations": {"summary": "tasks fail"},
                "startsAt": starts_at.isoformat(),
                "endsAt": ends,
                "generatorURL": "",
                "fingerprint": fingerprint,
            }
        ],
    }


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        ("GET", "/api/v1/incidents", "", 401),
        ("GET", "/api/v1/incidents", ALERTMANAGER, 403),
        ("GET", "/api/v1/incidents", VIEWER, 200),
        ("POST", "/api/v1/runs", VIEWER, 403),
        ("POST", "/api/v1/incidents/1/ack", VIEWER, 403),
        ("PUT", "/api/v1/kill-switch", VIEWER, 403),
        ("POST", "/api/v1/alerts", OPERATOR, 403),
        ("POST", "/api/v1/alerts", "", 401),
        ("GET", "/api/v1/incidents/999", VIEWER, 404),
        ("GET", "/api/v1/incidents?status=on", VIEWER, 400),
        ("GET", "/healthz", "", 200),
        ("GET", "/readyz", "", 200),
        ("GET", "/metrics", "", 200),
        ("GET", "/docs", "", 200),
        ("GET", "/guides/KpiErrorRatioHigh", "", 200),
        ("GET", "/guides/..%2f..%2fpyproject", "", 404),
    ],
)
async def test_each_address_is_open_to_its_roles_alone(
    alone: Alone, method: str, path: str, who: str, status: int
) -> None:
    assert (await call(alone, method, path, who=who))[0] == status


async def test_openapi_documents_every_address_that_wants_a_token(alone: Alone) -> None:
    status, document = await call(alone, "GET", "/openapi.json")
    assert status == 200
    assert isinstance(document, dict)
    paths = document["paths"]
    assert isinstance(paths, dict)
    for path, operations in paths.items():
        assert isinstance(operations, dict)
        for method in operations:
            concrete = path.replace("{id}", "1")
            assert (await call(alone, method.upper(), concrete))[0] == 401, (method, path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"target": TARGET}, "name either a runbook or an action"),
        ({"target": "task-manager", "action": "restart"}, "task-manager"),
        ({"target": TARGET, "action": "restrat"}, "there are"),
        ({"target": TARGET, "runbook": "bad-relase"}, "there are bad-release"),
        ({"target": TARGET, "action": "scale", "params": {"by": "lots"}}, "by"),
        ({"target": TARGET, "action": "restart", "colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_run_is_refused_in_words(alone: Alone, body: Json, said: str) -> None:
    status, answer = await call(alone, "POST", "/api/v1/runs", who=OPERATOR, body=body)
    assert status == 400
    assert isinstance(answer, dict)
    assert said in str(answer["error"])


async def test_a_plan_changes_nothing_and_the_kill_switch_refuses(alone: Alone) -> None:
    before = await alone.deployment()
    await call(alone, "PUT", "/api/v1/kill-switch", who=OPERATOR, body={"on": True})
    body: Json = {"target": TARGET, "action": "restart", "plan": True}
    _, refused = await call(alone, "POST", "/api/v1/runs", who=OPERATOR, body=body)
    await call(alone, "PUT", "/api/v1/kill-switch", who=OPERATOR, body={"on": False})
    _, allowed = await call(alone, "POST", "/api/v1/runs", who=OPERATOR, body=body)
    assert isinstance(refused, dict)
    assert isinstance(allowed, dict)
    assert _verdicts(refused) == ["allowed", "refused"]  # evidence changes nothing
    assert _verdicts(allowed) == ["allowed", "allowed"]
    after = await alone.deployment()
    assert after["spec"] == before["spec"]


def _verdicts(preview: JsonObject) -> list[object]:
    steps = preview["steps"]
    assert isinstance(steps, list)
    return [step["verdict"] for step in steps if isinstance(step, dict)]


async def test_an_alert_that_no_runbook_matches_only_escalates_and_ends_when_it_resolves(
    alone: Alone,
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)  # noqa: TID251 - alerts carry real times
    labels = {"alertname": "Odd", "severity": "critical", "namespace": "default"}

    async def post(status: str) -> None:
        body = delivery(status, labels, began)
        answered, _ = await call(alone, "POST", "/api/v1/alerts", who=ALERTMANAGER, body=body)
        assert answered == 200

    async def state(wanted: str) -> JsonObject | None:
        _, found = await call(alone, "GET", "/api/v1/incidents", who=VIEWER)
        assert isinstance(found, list)
        mine = [one for one in found if isinstance(one, dict) and "Odd" in str(one["title"])]
        assert len(mine) <= 1  # however often it is delivered
        return mine[0] if mine and mine[0]["status"] == wanted else None

    await asyncio.gather(*(post("firing") for _ in range(3)))
    incident = await wait_until(lambda: state("open"), 20, "the incident is open")
    assert incident is not None
    assert incident["runbook"] == ""

    async def paged() -> bool:
        return any("Odd" in str(item.json) for item in alone.pager.received)

    await wait_until(paged, 20, "level 1 was told")
    await post("resolved")
    ended = await wait_until(lambda: state("resolved"), 20, "the incident is over")
    assert ended is not None
    _, report = await call(alone, "GET", f"/api/v1/incidents/{ended['id']}/report", who=VIEWER)
    assert "Odd" in str(report)


async def test_a_graver_alert_brings_its_runbook_and_its_pages_to_a_warnings_incident(
    alone: Alone,
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=5)  # noqa: TID251 - alerts carry real times
    subject = {"namespace": "default", "workload": "other", "workload_type": "deployment"}

    async def fire(name: str, severity: str, fingerprint: str) -> None:
        labels = {"alertname": name, "severity": severity, **subject}
        body = delivery("firing", labels, began, fingerprint)
        answered, _ = await call(alone, "POST", "/api/v1/alerts", who=ALERTMANAGER, body=body)
        assert answered == 200

    async def incident(runbook: str) -> JsonObject | None:
        _, found = await call(alone, "GET", "/api/v1/incidents", who=VIEWER)
        assert isinstance(found, list)
        mine = [one for one in found if isinstance(one, dict) and "other" in str(one["target"])]
        assert len(mine) <= 1
        return mine[0] if mine and mine[0]["runbook"] == runbook else None

    def pages(of: JsonObject) -> list[object]:
        sent = [item.json for item in alone.pager.received if isinstance(item.json, dict)]
        return [one["key"] for one in sent if one["incident_id"] == of["id"]]

    await fire("KpiPodRestarting", "warning", "00000000000000bb")
    first = await wait_until(lambda: incident("warning"), 20, "the warning opened an incident")
    assert first is not None

    async def told(times: int) -> bool:
        return len({key for key in pages(first) if ":L1:" in str(key)}) == times

    assert await told(0)  # a warning is mailed
    await fire("KpiErrorRatioHigh", "critical", "00000000000000cc")
    second = await wait_until(lambda: incident("bad-release"), 20, "it has the runbook")
    assert second is not None
    assert (second["id"], second["severity"]) == (first["id"], "critical")
    await wait_until(lambda: told(1), 20, "level 1 was paged")

    async def begun() -> bool:
        path = f"/api/v1/incidents/{first['id']}"
        _, whole = await call(alone, "GET", path, who=VIEWER)
        return "of runbook bad-release (act)" in str(whole)

    await wait_until(begun, 20, "the graver alert's runbook was begun")
