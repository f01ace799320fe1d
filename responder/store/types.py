"""Column types: how values of the domain stand in the database, the same in both dialects."""

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from sqlalchemy import BigInteger, Dialect, Text, TypeDecorator
from typing_extensions import override

from responder.domain.values import Json

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EnumT = TypeVar("EnumT", bound=StrEnum)


def micros(moment: datetime) -> int:
    """Return a moment as it is stored: UTC microseconds since the epoch."""
    # Whole-number division: a float of seconds would lose microseconds.
    return (moment - EPOCH) // timedelta(microseconds=1)


class QueueState(StrEnum):
    """Life of a row of `inbox` and `outbox`."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    """Given up; kept for people."""


class Micros(TypeDecorator[datetime]):
    """An aware datetime as UTC microseconds since the epoch."""

    impl = BigInteger  # type: ignore[mutable-override]  # how SQLAlchemy wants it
    cache_ok: bool | None = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else micros(value)

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


class JsonText(TypeDecorator[Json]):
    """JSON as text; None is NULL."""

    impl = Text  # type: ignore[mutable-override]  # how SQLAlchemy wants it
    cache_ok: bool | None = True

    @override
    def process_bind_param(self, value: Json, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> Json:
        if value is None:
            return None
        document: Json = json.loads(value)
        return document


class EnumText(TypeDecorator[EnumT], Generic[EnumT]):
    """A member of one StrEnum as its value."""

    impl = Text  # type: ignore[mutable-override]  # how SQLAlchemy wants it
    cache_ok: bool | None = True

    def __init__(self, kind: type[EnumT]) -> None:
        super().__init__()
        self.kind = kind

    @override
    def process_bind_param(self, value: EnumT | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    @override
    def process_result_value(self, value: str | None, dialect: Dialect) -> EnumT | None:
        return None if value is None else self.kind(value)
