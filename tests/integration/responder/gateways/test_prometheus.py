"""The query gateway: real answers in test_verify.py, and here what goes wrong on the way."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from math import inf, isnan
from urllib.parse import parse_qs

import pytest

from exporter.shared.errors import PermanentError, TransientError
from responder.gateways.prometheus import PrometheusGateway
from tests.bed.scripted_api import Answer, ScriptedApi


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    async with ScriptedApi.start() as api:
        yield api


@pytest.fixture
async def metrics(api: ScriptedApi) -> AsyncIterator[PrometheusGateway]:
    gateway = PrometheusGateway(f"{api.url}/prefix/", deadline=timedelta(seconds=1))
    yield gateway
    await gateway.close()


def result(kind: str, value: object) -> Answer:
    data = {"resultType": kind, "result": value}
    return Answer(json.dumps({"status": "success", "data": data}).encode())


async def test_numbers_that_json_cannot_hold_are_read(
    api: ScriptedApi, metrics: PrometheusGateway
) -> None:
    values = ("NaN", "+Inf", "-Inf", "0.25")
    vector = [{"metric": {"i": text}, "value": [1700000000.5, text]} for text in values]
    api.script.append(result("vector", vector))
    at = datetime(2026, 1, 2, tzinfo=UTC)
    nan, high, low, quarter = await metrics.instant('x{a="b"}', at=at)
    assert isnan(nan.value)
    assert (high.value, low.value, quarter.value) == (inf, -inf, 0.25)
    assert quarter.labels == {"i": "0.25"}
    assert quarter.at == datetime.fromtimestamp(1700000000.5, UTC)
    (asked,) = api.asked
    form = parse_qs(asked.body.decode())
    assert asked.path == "/prefix/api/v1/query"
    assert form["query"] == ['x{a="b"}']
    assert form["time"] == [f"{at.timestamp():.3f}"]


async def test_a_scalar_is_one_series_and_nothing_is_none(
    api: ScriptedApi, metrics: PrometheusGateway
) -> None:
    api.script += [result("scalar", [1700000000, "3"]), result("vector", [])]
    (scalar,) = await metrics.instant("scalar(x)")
    assert (scalar.labels, scalar.value) == ({}, 3.0)
    assert await metrics.instant("absent_metric") == []


async def test_a_range_is_read_with_its_gaps(api: ScriptedApi, metrics: PrometheusGateway) -> None:
    values = [[1700000000, "0.5"], [1700000030, "NaN"]]
    api.script.append(result("matrix", [{"metric": {"i": "a"}, "values": values}]))
    start, end = (datetime.fromtimestamp(1700000000 + at, UTC) for at in (0, 60))
    (track,) = await metrics.over("x", start, end, timedelta(seconds=15))
    assert track.labels == {"i": "a"}
    assert track.points[0] == (start, 0.5)
    assert isnan(track.points[1][1])
    (asked,) = api.asked
    form = parse_qs(asked.body.decode())
    assert asked.path == "/prefix/api/v1/query_range"
    wanted = {"start": "1700000000.000", "end": "1700000060.000", "step": "15.000"}
    assert {name: form[name][0] for name in wanted} == wanted


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b'{"status":"error","error":"timed out"}', 503),
        Answer(b"<html>bad gateway</html>", 502),
        Answer(b"", 429),
        Answer(b'{"status":"succ', then="abort"),
        Answer(then="hold"),
    ],
    ids=str,
)
async def test_a_prometheus_that_is_away_is_weather(
    answer: Answer, api: ScriptedApi, metrics: PrometheusGateway
) -> None:
    api.script.append(answer)
    with pytest.raises(TransientError):
        await metrics.instant("up")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b'{"status":"error","error":"parse error"}', 400),
        Answer(b"no such user", 401),
        Answer(b"<html>hello</html>", 200),
        result("matrix", [{"metric": {}, "values": [[1, "2"]]}]),
        result("string", [1, "text"]),
    ],
    ids=str,
)
async def test_a_query_that_can_never_work_is_not_tried_again(
    answer: Answer, api: ScriptedApi, metrics: PrometheusGateway
) -> None:
    api.script.append(answer)
    with pytest.raises(PermanentError):
        await metrics.instant("up{")
