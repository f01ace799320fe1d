"""What new settings want of the sources, and what came of it."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from exporter.contract import Metric, PolledSource, Source
from exporter.shared.errors import RunbookdError
from exporter.shared.log import get_log
from exporter.sources import told

LETTING_GO = timedelta(seconds=5)
"""Longest wait for connections that a source closes."""

_log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that is to run."""

    collector: str
    metrics: tuple[Metric, ...]
    source: Source
    made_of: object = None
    """A running source that was made of the same is left alone."""

    @property
    def name(self) -> str:
        """Return `collector/source`."""
        return f"{self.collector}/{self.source.name}"


@dataclass(frozen=True, slots=True)
class Changes:
    """What came of new settings: names of sources."""

    started: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


async def let_go(source: Source) -> None:
    """Close what a source that has ended held; a failure of that keeps nobody up."""
    if isinstance(source, PolledSource) and source.close is not None:
        try:
            async with asyncio.timeout(LETTING_GO.total_seconds()):
                await source.close()
        except (OSError, RunbookdError, TimeoutError) as error:
            _log.warning("source not closed", source=source.name, error=told(error))
