"""Takes deliveries in: many are stored with one commit, and nobody is answered before it.

One task commits, without a timer: it takes whatever came while the last commit ran. So nothing
waits when little comes, and a commit carries more the more comes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from exporter.shared.clock import Clock
from exporter.shared.errors import RunbookdError
from exporter.shared.log import get_log
from responder.domain.dead_letter import Unusable
from responder.metrics import ResponderMetrics
from responder.store.database import Store, StoreUnavailableError
from responder.store.inbox import NewDelivery

log = get_log(__name__)


class QueueFullError(RunbookdError):
    """More deliveries wait for a commit than may."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery that cannot be used."""

    source: str
    why: Unusable
    size: int
    sha256: str
    head: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait."""

    queue: int = 1000
    """Deliveries that wait for a commit, the running one not counted."""
    queued_bytes: int = 64 * 1024 * 1024
    """Memory that their bodies hold: four of the largest, or some 50,000 single alerts."""
    per_commit: int = 1000
    """Deliveries that share a commit."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told what came in."""

    dead_letter: Callable[[Unusable, int], Awaitable[None]]
    """Pages people; is handed what is wrong and the dead letter's id."""
    stored: Callable[[], None]
    """Wakes whoever works on the inbox."""


class Intake:
    """Stores deliveries and dead letters. Between `start` and `close` it owns one task."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        metrics: ResponderMetrics,
        listeners: Listeners,
        bounds: Bounds = Bounds(),
    ) -> None:
        self.metrics = metrics
        self._store = store
        self._clock = clock
        self._listeners = listeners
        self._bounds = bounds
        self._waiting: deque[tuple[NewDelivery, asyncio.Future[None]]] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        metrics.intake_waiting.set_function(lambda: len(self._waiting))

    def start(self) -> None:
        """Begin to commit."""
        self._task = asyncio.create_task(self._commit_forever(), name="intake")

    async def close(self) -> None:
        """Refuse what comes from now on, store what waits, and end the task."""
        task, self._task = self._task, None
        if task is None:
            return
        self._arrived.set()
        await asyncio.wait([task])

    @property
    def alive(self) -> bool:
        """Whether deliveries can be stored, as far as this process is concerned."""
        return self._task is not None and not self._task.done()

    async def deliver(self, body: bytes, source: str) -> None:
        """Return once the delivery is stored durably.

        Raises QueueFullError, or StoreUnavailableError: then nothing of it was stored.
        """
        if not self.alive:
            raise StoreUnavailableError("the intake is closed")
        bounds = self._bounds
        full = len(self._waiting) >= bounds.queue
        if full or self._bytes + len(body) > bounds.queued_bytes:
            raise QueueFullError(f"{len(self._waiting)} deliveries wait for the store")
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((NewDelivery(self._clock.now(), source, body), stored))
        self._bytes += len(body)
        self._arrived.set()
        await stored

    async def bury(self, letter: Letter) -> int:
        """Keep a dead letter, count it, have people paged, and return its id.

        Raises StoreUnavailableError: then the sender must be told to come again.
        """
        async with self._store.transaction() as tx:
            number = await tx.dead_letters.add(
                self._clock.now(),
                letter.source,
                str(letter.why),
                letter.size,
                letter.sha256,
                letter.head,
            )
        self.metrics.dead_letters.labels(letter.why.reason.value).inc()
        await self._listeners.dead_letter(letter.why, number)
        return number

    async def _commit_forever(self) -> None:
        try:
            while self._waiting or self._task is not None:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    await self._commit()
        finally:
            # Whatever ended the task: nobody may wait for a commit that will not come.
            for _, stored in self._waiting:
                _fail(stored, StoreUnavailableError("the intake has ended"))
            self._waiting.clear()

    async def _commit(self) -> None:
        count = min(len(self._waiting), self._bounds.per_commit)
        batch = [self._waiting.popleft() for _ in range(count)]
        try:
            await self._store.inbox_append([delivery for delivery, _ in batch])
        except RunbookdError as error:
            for _, stored in batch:
                _fail(stored, error)
            return
        except BaseException:
            log.exception("intake_broke")  # the task ends, `alive` is false, senders get 503
            for _, stored in batch:
                _fail(stored, StoreUnavailableError("the intake broke"))
            raise
        finally:
            self._bytes -= sum(len(delivery.body) for delivery, _ in batch)
        for _, stored in batch:
            if not stored.done():  # its sender may have gone
                stored.set_result(None)
        self.metrics.last_intake.set(self._clock.now().timestamp())
        self._listeners.stored()


def _fail(stored: asyncio.Future[None], error: RunbookdError) -> None:
    if not stored.done():
        stored.set_exception(error)
