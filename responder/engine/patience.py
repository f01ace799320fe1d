"""Waiting for the store: a step of a workflow outlasts it rather than fail."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from exporter.shared.log import get_log
from responder.engine.services import Services
from responder.store.database import StoreUnavailableError

T = TypeVar("T")

FIRST_PAUSE = timedelta(seconds=0.5)
LONGEST_PAUSE = timedelta(seconds=5)

log = get_log(__name__)


async def steadily(services: Services, work: Callable[[], Awaitable[T]]) -> T:
    """Do `work`, and do it again for as long as the store is away.

    For work that may be repeated. It has no end, as the engine's library has none when its own
    database is away: a step that failed instead would end its workflow for good.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await work()
        except StoreUnavailableError as error:
            log.warning("waiting_for_the_store", error=str(error))
        await services.clock.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
