"""A task that runs only where somebody wants what it brings."""

import asyncio
from collections.abc import Callable, Coroutine

from exporter.shared.tasks import cancel


class Starting:
    """Starts its work when first asked, again should a bug have ended it; its owner closes it."""

    def __init__(self, work: Callable[[], Coroutine[object, object, None]], name: str) -> None:
        self._work = work
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def started(self) -> asyncio.Task[None]:
        """Return the running task."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name=self._name)
        return self._task

    async def close(self) -> None:
        """Stop the work; what it brought stays known."""
        if self._task is not None:
            await cancel(self._task)
