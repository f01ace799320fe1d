"""Prometheus' query API."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec

from exporter.shared.errors import PermanentError, TransientError
from responder.contract import Series

DEADLINE = timedelta(seconds=10)
"""For one query; Prometheus is told to give up with us."""

_BUSY = (408, 429)


class _Vector(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]
    """Seconds since the epoch, and the number as text (`NaN` and `+Inf` are not JSON)."""


class _Result(msgspec.Struct, rename="camel"):
    result_type: str
    result: list[_Vector] | tuple[float, str]
    """A tuple when the result is a scalar."""


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: msgspec.Raw = msgspec.Raw()
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
        status, body = await self._post(form)
        return _series(_answer(status, body))

    async def _post(self, form: dict[str, str]) -> tuple[int, bytes]:
        try:
            async with self._session.post(self._url, data=form) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"Prometheus did not answer: {error!r}") from error


def _answer(status: int, body: bytes) -> _Answer:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError:  # a proxy's own page
        answer = _Answer("error", error=body[:200].decode(errors="replace"))
    if status in _BUSY or status >= 500:
        raise TransientError(f"Prometheus: {status} {answer.error}")
    if status != 200 or answer.status != "success":
        raise PermanentError(f"Prometheus: {status} {answer.error}")
    return answer


def _series(answer: _Answer) -> list[Series]:
    try:
        data = msgspec.json.decode(answer.data, type=_Result)
    except msgspec.DecodeError as error:
        raise PermanentError(f"not the answer to an instant query of numbers: {error}") from error
    if isinstance(data.result, tuple):
        return [_one({}, data.result)]
    return [_one(item.metric, item.value) for item in data.result]


def _one(labels: dict[str, str], sample: tuple[float, str]) -> Series:
    return Series(labels, float(sample[1]), datetime.fromtimestamp(sample[0], UTC))
