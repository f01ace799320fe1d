"""Settings and policies: strict models, Prometheus durations, errors with positions."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer
from typing_extensions import override

from exporter.shared.errors import RunbookdError


class Section(BaseModel):
    """A frozen part of a configuration that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000}
_UNITS |= {"s": 1_000, "ms": 1}
_DURATION = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?"
)


def parse_duration(text: object) -> timedelta:
    """Read a Prometheus duration (`90s`, `1h30m`, `250ms`, `0`). Raises ValueError.

    Grammar: `<duration>` in Prometheus' configuration reference.
    """
    if isinstance(text, timedelta):
        return text
    if text in (0, "0"):
        return timedelta(0)
    found = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if found is None:
        raise ValueError(f"{text!r} is not a duration; write it as 90s, 5m or 1h30m")
    return timedelta(
        milliseconds=sum(
            int(number) * size
            for number, size in zip(found.groups(), _UNITS.values(), strict=True)
            if number
        )
    )


def format_duration(duration: timedelta) -> str:
    """Write a duration as Prometheus does: the largest units that divide it (`1h30m`, `0s`)."""
    rest = round(duration.total_seconds() * 1000)
    parts = []
    for unit, size in _UNITS.items():
        if unit in ("y", "w"):
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""A timedelta that is written as a Prometheus duration."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration."""

    file: str
    line: int
    column: int
    """Line and column count from 1; 0 when the problem has no place (an environment variable)."""
    message: str
    """One line, with a suggestion where there is one."""

    @override
    def __str__(self) -> str:
        """Return `file:line:column: message`."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class ConfigError(RunbookdError):
    """The configuration is wrong; `problems` says where, one line each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)
