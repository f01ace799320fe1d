"""Prometheus' query API."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec

from exporter.shared.errors import PermanentError, TransientError
from responder.contract import Series, Track

DEADLINE = timedelta(seconds=10)
"""For one query; Prometheus is told to give up with us."""

_BUSY = (408, 429)


Sample = tuple[float, str]
"""Seconds since the epoch, and the number as text (`NaN` and `+Inf` are not JSON)."""


class _Element(msgspec.Struct):
    metric: dict[str, str]
    value: Sample


class _Vector(msgspec.Struct, tag_field="resultType", tag="vector"):
    result: list[_Element]


class _Row(msgspec.Struct):
    metric: dict[str, str]
    values: list[Sample]


class _Matrix(msgspec.Struct, tag_field="resultType", tag="matrix"):
    result: list[_Row]


class _Scalar(msgspec.Struct, tag_field="resultType", tag="scalar"):
    result: Sample


class _Answer(msgspec.Struct):
    status: str
    data: _Vector | _Scalar | _Matrix | None = None
    error: str = ""


class PrometheusGateway:
    """Implements responder.contract.MetricsQuery."""

    def __init__(self, url: str, *, deadline: timedelta = DEADLINE) -> None:
        """`url` is the base, without `/api`; a path prefix stays."""
        self._base = f"{url.rstrip('/')}/api/v1"
        self._deadline = deadline
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=deadline.total_seconds())
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def instant(self, promql: str, *, at: datetime | None = None) -> Sequence[Series]:
        """Evaluate an instant query; a scalar becomes one series without labels.

        Raises TransientError (away, slow, 408, 429, 5xx) or PermanentError (a query that
        Prometheus refuses, no access, not a Prometheus).
        """
        form = {"query": promql}
        if at is not None:
            form["time"] = f"{at.timestamp():.3f}"
        match await self._asked("query", form):
            case _Vector(elements):
                return [_one(element.metric, element.value) for element in elements]
            case _Scalar(sample):
                return [_one({}, sample)]
            case _:
                raise PermanentError(f"Prometheus: {promql} is not of one moment")

    async def over(
        self, promql: str, start: datetime, end: datetime, step: timedelta
    ) -> Sequence[Track]:
        """Evaluate a range query, both ends included. Raises as `instant` does."""
        form = {
            "query": promql,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{step.total_seconds():.3f}",
        }
        match await self._asked("query_range", form):
            case _Matrix(rows):
                return [_track(row) for row in rows]
            case _:
                raise PermanentError(f"Prometheus: {promql} has no range")

    async def _asked(self, what: str, form: dict[str, str]) -> _Vector | _Scalar | _Matrix:
        form["timeout"] = f"{self._deadline.total_seconds():g}s"
        try:
            async with self._session.post(f"{self._base}/{what}", data=form) as answer:
                return _data(answer.status, await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"Prometheus did not answer: {error!r}") from error


def _data(status: int, body: bytes) -> _Vector | _Scalar | _Matrix:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:  # a proxy's own page, or a result that is no numbers
        answer = _Answer("error", error=body[:200].decode(errors="replace"))
    if status in _BUSY or status >= 500:
        raise TransientError(f"Prometheus: {status} {answer.error}")
    if answer.data is None:
        raise PermanentError(f"Prometheus: {status} {answer.error}")
    return answer.data


def _one(labels: dict[str, str], sample: Sample) -> Series:
    at, value = _point(sample)
    return Series(labels, value, at)


def _track(row: _Row) -> Track:
    return Track(row.metric, [_point(sample) for sample in row.values])


def _point(sample: Sample) -> tuple[datetime, float]:
    return datetime.fromtimestamp(sample[0], UTC), float(sample[1])
