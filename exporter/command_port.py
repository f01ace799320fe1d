"""The port to programs: what a collector runs other people's tools through."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Protocol


class Finished(NamedTuple):
    """A program that has ended."""

    code: int
    """Its exit code."""
    lines: Sequence[bytes]
    """Lines of its standard output that were kept; what it wrote to standard error is dropped."""


class Commands(Protocol):
    """Runs programs, one at a time, each for a bounded time."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        deadline: timedelta,
        max_bytes: int,
    ) -> Finished:
        """Run `argv` in `folder` with this environment and no other.

        Raises TransientError when it takes longer than `deadline` (it is then ended, with all that
        it started) and PermanentError when it cannot be started or says more than `max_bytes`.
        """
        ...
