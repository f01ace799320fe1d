"""People who use the application: steady, bounded, and keeping count."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Self

import aiohttp

IN_FLIGHT = 50
TIMEOUT_SECONDS = 5.0
NO_ANSWER = 0


class Load:
    """Requests at a steady rate, whatever the answers take.

    `answers` counts by HTTP status; 0 stands for no answer at all.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.answers: Counter[int] = Counter()

    @property
    def failed(self) -> int:
        """How many were answered with 5xx, or not at all."""
        return sum(n for status, n in self.answers.items() if status == NO_ANSWER or status >= 500)

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        urls: Callable[[], Sequence[str]],
        *,
        rate: float,
        total: int = 100_000,
        seconds: float = 900.0,
    ) -> AsyncIterator[Self]:
        """Send `rate` GET requests a second until left, `total` are sent or `seconds` are over.

        `urls` is asked before each request, because pods come and go; requests go round. While it
        gives none, or IN_FLIGHT are unanswered, nothing is sent.
        """
        load = cls()
        users = asyncio.create_task(load._run(urls, rate, total, seconds))
        try:
            yield load
        finally:
            users.cancel()
            await asyncio.gather(users, return_exceptions=True)

    async def _run(
        self, urls: Callable[[], Sequence[str]], rate: float, total: int, seconds: float
    ) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        limit = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        async with (
            aiohttp.ClientSession(timeout=limit, connector=connector) as session,
            asyncio.TaskGroup() as group,
        ):
            waiting: set[asyncio.Task[None]] = set()
            for turn in itertools.count():
                await asyncio.sleep(began + turn / rate - loop.time())
                if self.sent >= total or loop.time() - began > seconds:
                    return
                choice = urls()
                if not choice or len(waiting) >= IN_FLIGHT:
                    continue
                self.sent += 1
                request = group.create_task(self._get(session, choice[turn % len(choice)]))
                waiting.add(request)
                request.add_done_callback(waiting.discard)

    async def _get(self, session: aiohttp.ClientSession, url: str) -> None:
        try:
            async with session.get(url) as answer:
                await answer.read()
                self.answers[answer.status] += 1
        except (aiohttp.ClientError, TimeoutError):
            self.answers[NO_ANSWER] += 1
