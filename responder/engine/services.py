"""What the engine's workflows work with: one value, handed in when the engine starts.

DBOS registers workflows as module-level functions, so they cannot be handed anything themselves;
`bind` sets the one value that they all read, `bound` reads it.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exporter.shared.clock import Clock
from exporter.shared.config import Section
from exporter.shared.errors import RunbookdError
from exporter.shared.kube import KubeReader
from responder.contract import (
    ActionSpec,
    AlertmanagerQuery,
    Databases,
    HttpPort,
    KubeWriter,
    MetricsQuery,
    NotifierSpec,
)
from responder.domain.policy import Policy
from responder.engine.fleet import Membership
from responder.metrics import ResponderMetrics
from responder.settings import ResponderSettings
from responder.store.database import Store


@dataclass(frozen=True, slots=True)
class Receiver:
    """A configured receiver: a notifier with its settings."""

    name: str
    spec: NotifierSpec[Section]
    settings: Section


class InFlight:
    """The steps that are being done at this moment, which a shutdown lets finish."""

    def __init__(self) -> None:
        self._number = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Count one."""
        await self.go_on()
        self._number += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._number -= 1
            if not self._number:
                self._idle.set()

    async def go_on(self) -> None:
        """Return at once, but never after `close`: the rest is left to whoever comes next."""
        if self._closed:
            await asyncio.Event().wait()

    async def close(self, within: timedelta) -> None:
        """Begin no more, and wait for a while until none is being done."""
        self._closed = True
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._idle.wait()
        except TimeoutError:
            pass  # what did not finish is done again, an effect only after asking the target


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the engine reaches, opened by the composition root."""

    settings: ResponderSettings
    clock: Clock
    store: Store
    policy: Policy
    actions: Mapping[str, ActionSpec[Section]]
    receivers: Mapping[str, Receiver]
    kube: KubeReader
    writer: KubeWriter
    query: MetricsQuery
    alertmanagers: AlertmanagerQuery
    databases: Databases
    http: HttpPort
    metrics: ResponderMetrics
    fleet: Membership
    boot: str = field(default_factory=lambda: uuid.uuid4().hex)
    """This incarnation of the process: an intent of another one is probed before it is applied."""

    in_flight: InFlight = field(default_factory=InFlight)
    unanswering: set[str] = field(default_factory=set)
    """Addresses of Alertmanagers that gave no answer when they were last asked."""

    def now(self) -> datetime:
        """Return the clock's time."""
        return self.clock.now()


_bound: list[Services] = []


def bind(services: Services) -> None:
    """Hand `services` to every workflow of this process; called before the engine launches."""
    _bound[:] = [services]


def bound() -> Services:
    """Return what was bound. Raises RunbookdError when the engine was not started by `bind`."""
    if not _bound:
        raise RunbookdError("the engine was launched without services")
    return _bound[0]
