"""Prometheus' query API."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

import aiohttp
import msgspec

from exporter.shared.errors import PermanentError, TransientError
from responder.contract import Series

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


class _Scalar(msgspec.Struct, tag_field="resultType", tag="scalar"):
    result: Sample


class _Answer(msgspec.Struct):
    status: str
    data: _Vector | _Scalar | None = None
    error: str = ""


class PrometheusGateway:
    """Implements responder.contract.MetricsQuery."""

    def __init__(self, url: str, *, deadline: timedelta = DEADLINE) -> None:
        """`url` is the base, without `/api`; a path prefix stays."""
        self._url = f"{url.rstrip('/')}/api/v1/query"
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
        form = {"query": promql, "timeout": f"{self._deadline.total_seconds():g}s"}
        if at is not None:
            form["time"] = f"{at.timestamp():.3f}"
        return _series(*await self._post(form))

    async def _post(self, form: dict[str, str]) -> tuple[int, bytes]:
        try:
            async with self._session.post(self._url, data=form) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"Prometheus did not answer: {error!r}") from error


def _series(status: int, body: bytes) -> list[Series]:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:  # a proxy's own page, or a result that is no numbers of one moment
        answer = _Answer("error", error=body[:200].decode(errors="replace"))
    if status in _BUSY or status >= 500:
        raise TransientError(f"Prometheus: {status} {answer.error}")
    match answer.data:
        case _Vector(elements):
            return [_one(element.metric, element.value) for element in elements]
        case _Scalar(sample):
            return [_one({}, sample)]
        case None:
            raise PermanentError(f"Prometheus: {status} {answer.error}")
        case _:
            assert_never(answer.data)


def _one(labels: dict[str, str], sample: Sample) -> Series:
    return Series(labels, float(sample[1]), datetime.fromtimestamp(sample[0], UTC))
