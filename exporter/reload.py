"""Reading the settings, at the start and again while the exporter runs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from exporter.changes import Changes
from exporter.contract import Metric, Sample
from exporter.settings import PREFIX, ExporterSettings
from exporter.shared.clock import Clock
from exporter.shared.config import ConfigError, Document, load_document, validate
from exporter.shared.log import get_log

SUCCESSFUL = Metric(
    "kpi_exporter_config_last_reload_successful",
    "1 when the settings were read and followed at the last attempt; else the ones before hold.",
)
SUCCEEDED = Metric(
    "kpi_exporter_config_last_reload_success_timestamp_seconds",
    "When settings were read and followed last.",
)
METRICS = (SUCCESSFUL, SUCCEEDED)

_log = get_log(__name__)


class SettingsReader:
    """Where the settings come from: what is said later in this list wins."""

    def __init__(
        self,
        model: type[ExporterSettings],
        path: Path | None,
        environ: Mapping[str, str],
        flags: Mapping[str, object],
    ) -> None:
        """`flags` are settings by name, nested, as the command line gave them."""
        self._model = model
        self._path = path
        self._environ = environ
        self._flags = flags

    def read(self) -> ExporterSettings:
        """Read all anew. Raises ConfigError with every problem."""
        found = load_document(self._model, self._path, prefix=PREFIX, environ=self._environ)
        root = _over(found.root, self._flags)
        document = Document(found.file, root, found.values, found.keys, found.variables)
        return validate(self._model, document)


class Reloader:
    """Follows the settings when asked; bad ones change nothing."""

    def __init__(
        self,
        read: Callable[[], ExporterSettings],
        follow: Callable[[ExporterSettings], Awaitable[Changes]],
        clock: Clock,
    ) -> None:
        """Start with settings that were read and followed just now."""
        self._read = read
        self._follow = follow
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._asked: set[asyncio.Task[tuple[str, ...]]] = set()
        self.succeeded = clock.now()
        self.problems: tuple[str, ...] = ()
        """What was wrong at the last attempt, a line each."""

    async def reload(self) -> tuple[str, ...]:
        """Read the settings and follow them; return what is wrong with them, a line each."""
        async with self._one_at_a_time:
            try:
                changes = await self._follow(self._read())
            except (ConfigError, OSError) as error:
                found = error.problems if isinstance(error, ConfigError) else (error,)
                self.problems = tuple(str(each) for each in found)
                _log.error("settings not followed, the ones before hold", problems=self.problems)
            else:
                self.problems = ()
                self.succeeded = self._clock.now()
                _log.info(
                    "settings followed",
                    started=changes.started,
                    restarted=changes.restarted,
                    stopped=changes.stopped,
                )
            return self.problems

    def ask(self) -> None:
        """Reload soon, as at a signal."""
        task = asyncio.get_running_loop().create_task(self.reload(), name="reload")
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def samples(self) -> Iterator[Sample]:
        """Tell how the last attempt ended."""
        yield Sample(SUCCESSFUL, (), float(not self.problems))
        yield Sample(SUCCEEDED, (), self.succeeded.timestamp())


def _over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Lay mappings over each other, level by level."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(under, Mapping)
        merged[name] = _over(under, value) if both else value  # type: ignore[arg-type]
    return merged
