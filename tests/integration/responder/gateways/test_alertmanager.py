"""Alertmanager's API as the real one speaks it, and what goes wrong on the way."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.shared.clock import SystemClock
from responder.domain.reconciliation import Answer as Said
from responder.domain.values import JsonObject
from responder.gateways.alertmanager import AlertmanagerGateway
from tests.bed.alertmanager import Alertmanager
from tests.bed.process import wait_until
from tests.bed.scripted_api import Answer, ScriptedApi

CONFIG = {
    "global": {"resolve_timeout": "7m"},
    "time_intervals": [
        {
            "name": "night",
            "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "06:00"}]}],
        }
    ],
    "route": {
        "receiver": "web.dot",
        "group_wait": "1h",
        "routes": [
            {"matchers": ['team="o"'], "receiver": "other", "mute_time_intervals": ["night"]},
            {"matchers": ['team="n"'], "routes": [{"active_time_intervals": ["night"]}]},
        ],
    },
    "inhibit_rules": [
        {"source_matchers": ['alertname="Source"'], "target_matchers": ['alertname="Inhibited"']}
    ],
    "receivers": [{"name": "web.dot"}, {"name": "other"}],
}


def alert(name: str, starts: datetime, **labels: str) -> JsonObject:
    return {
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": f"{name} is bad"},
        "startsAt": starts.isoformat(),
        "endsAt": (SystemClock().now() + timedelta(hours=1)).isoformat(),
    }


async def test_the_real_one_says_what_fires_for_whom_and_since_when_it_runs(
    tmp_path: Path,
) -> None:
    starts = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    before = SystemClock().now()
    async with Alertmanager.start(tmp_path, CONFIG) as server:
        gateway = AlertmanagerGateway([server.url])
        over = alert("Over", starts) | {"endsAt": starts.isoformat()}
        await server.post_alerts(
            [alert("Told", starts), alert("Other", starts, team="o"), over]
            + [alert(name, starts) for name in ("Source", "Inhibited")]
        )

        async def listed() -> list[Said]:
            asked = await gateway.ask()
            return [each for each in asked.answers if len(each.held) == 4]

        (said,) = await wait_until(listed, 10, "every alert is listed")
        await gateway.close()
    told = {held.alert.name: (set(held.receivers), held.is_told) for held in said.held}
    assert told == {
        "Told": ({"web.dot"}, True),
        "Other": ({"other"}, True),
        "Source": ({"web.dot"}, True),
        "Inhibited": ({"web.dot"}, False),
    }
    (first,) = [held.alert for held in said.held if held.alert.name == "Told"]
    assert first.starts_at == starts.replace(microsecond=123000)
    assert (first.annotations["summary"], len(first.fingerprint)) == ("Told is bad", 16)
    assert before - timedelta(seconds=1) < said.started_at < SystemClock().now()
    assert said.resolve_timeout == timedelta(minutes=7)
    assert (set(said.receivers), set(said.timed)) == ({"web.dot", "other"}, {"other", "web.dot"})


async def test_the_real_one_says_by_group_what_it_tells_whom_in_one_delivery(
    tmp_path: Path,
) -> None:
    starts = datetime(2026, 1, 1, tzinfo=UTC)
    also = {"receiver": "other", "group_by": ["alertname"], "matchers": ['team="o"']}
    config = {
        "route": {
            "receiver": "web.dot",
            "group_by": ["alertname", "pod"],
            "routes": [{**also, "continue": True}, {"receiver": "web.dot"}],
        },
        "receivers": [{"name": "web.dot"}, {"name": "other"}],
    }
    async with Alertmanager.start(tmp_path, config) as server:
        gateway = AlertmanagerGateway([server.url])
        await server.post_alerts(
            [
                alert("A", starts),
                alert("A", starts, pod="web-1"),
                alert("A", starts, pod="web-1", team="o"),
                alert("Over", starts) | {"endsAt": starts.isoformat()},
            ]
        )

        async def listed() -> list[Said]:
            asked = await gateway.ask(by_group=True)
            return [each for each in asked.answers if len(each.held) == 4]

        (said,) = await wait_until(listed, 10, "every group is there")
        await gateway.close()
    groups = Counter(
        (*held.receivers, *sorted((held.group or {}).items())) for held in said.held if held.is_told
    )
    name, pod = ("alertname", "A"), ("pod", "web-1")
    assert groups == {("web.dot", name): 1, ("web.dot", name, pod): 2, ("other", name): 1}
    assert set(said.receivers) == {"web.dot", "other"}


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    async with ScriptedApi.start() as api:
        yield api


HELD: JsonObject = {
    "labels": {"alertname": "A"},
    "startsAt": "2026-01-01T00:00:00.123Z",
    "fingerprint": "00000000000000aa",
    "status": {"state": "active", "mutedBy": []},
    "receivers": [{"name": "runbookd"}],
    "of a newer release": 1,
}
STATUS: JsonObject = {"uptime": "2026-01-01T00:00:00.000Z", "cluster": {"status": "ready"}}


def json_of(document: object) -> Answer:
    return Answer(json.dumps(document).encode())


async def test_what_other_releases_add_or_leave_out_is_no_mistake(api: ScriptedApi) -> None:
    api.script += [json_of([HELD]), json_of(STATUS)]
    gateway = AlertmanagerGateway([f"{api.url}/prefix"])
    asked = await gateway.ask()
    await gateway.close()
    (said,) = asked.answers
    assert [held.alert.starts_at_text for held in said.held] == ["2026-01-01T00:00:00.123Z"]
    assert said.resolve_timeout == timedelta(minutes=5)
    alerts, status = api.asked
    assert (alerts.path, status.path) == ("/prefix/api/v2/alerts", "/prefix/api/v2/status")
    assert set(alerts.query.values()) == {"true"}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([Answer(b"", 503)], "away"),
        ([Answer(b"[", then="abort")], "away"),
        ([Answer(b"[", then="hold")], "away"),
        ([Answer(b"", 403)], "refused"),
        ([Answer(b"<html>hello</html>"), json_of(STATUS)], "malformed"),
        ([json_of([HELD | {"startsAt": "yesterday"}]), json_of(STATUS)], "malformed"),
        (
            [json_of([HELD | {"startsAt": "0001-01-01T00:00:00+01:00"}]), json_of(STATUS)],
            "malformed",
        ),
        ([json_of([HELD | {"fingerprint": "x"}]), json_of(STATUS)], "malformed"),
        ([json_of([]), Answer(b"", 404)], "refused"),
        ([json_of([]), json_of(STATUS | {"config": {"original": "route: ["}})], "malformed"),
    ],
    ids=str,
)
async def test_a_server_that_gives_no_answer_is_named_with_the_reason_and_no_secret(
    script: list[Answer], reason: str, api: ScriptedApi
) -> None:
    api.script += script
    url = api.url.replace("http://", "http://user:secret@")
    gateway = AlertmanagerGateway([url], deadline=timedelta(seconds=0.3))
    asked = await gateway.ask()
    await gateway.close()
    assert asked.answers == []
    ((named, failure),) = asked.failures.items()
    assert named == api.url
    assert failure.startswith(f"{reason}:")
    assert "secret" not in failure
