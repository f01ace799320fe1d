"""The sources of one exporter at work, and how they follow its settings while it runs."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

from exporter import itself, reload
from exporter import schedule as schedules
from exporter.changes import Changes, Wanted
from exporter.clients.open import OpenClients
from exporter.contract import CollectorSpec, Metric, OnDemand, PolledSource, Source
from exporter.exposition import scrape
from exporter.exposition.document import Document
from exporter.exposition.fragments import Fragments
from exporter.exposition.scrape import Scrapes
from exporter.exposition.store import FragmentStore
from exporter.readings import TARGET, target_samples
from exporter.reload import Reloader
from exporter.schedule import Schedule
from exporter.settings import ExporterSettings
from exporter.shared.clock import Clock
from exporter.shared.config import ConfigError, Problem, Section
from exporter.shared.errors import RunbookdError
from exporter.shared.kube_client import load_library
from exporter.shared.tasks import cancel, teardown
from exporter.sources import is_slow

Specs = Mapping[str, CollectorSpec[Section]]

OWN = (TARGET, *itself.METRICS, *reload.METRICS, *scrape.METRICS)
"""What the exporter says of itself, but for its sources."""

LASTING = ("listen", "web", "kubeconfig", "shard")
"""Settings that a running exporter keeps: sockets, connections and who publishes what."""


def families(
    specs: Specs, sections: Mapping[str, Section] = MappingProxyType({})
) -> tuple[Metric, ...]:
    """Return every family that the exporter can publish, in the order of the exposition.

    `sections` are the collectors' settings, for those whose settings name families.
    """
    collected = [
        metric
        for name, spec in specs.items()
        for metric in spec.published(sections.get(name) or spec.settings())
    ]
    return (*collected, *schedules.FAMILIES, *OWN)


def open_clients(settings: ExporterSettings, clock: Clock) -> OpenClients:
    """Return clients that connect with their first use; the caller closes them."""
    return OpenClients(
        kubeconfig=settings.kubeconfig,
        applications=[each.application() for each in settings.applications],
        clock=clock,
    )


@dataclass(slots=True)
class Running:
    """Sources at work, and what they publish."""

    specs: Specs
    settings: ExporterSettings
    clients: OpenClients
    schedule: Schedule
    store: FragmentStore
    own: Fragments
    """What the exporter says of itself."""
    task: "asyncio.Task[None]"
    """The schedule at work; it ends when a bug ends a source."""
    every: timedelta | None = None
    """Stands in for the intervals of the sources that are not slow."""
    probe: OnDemand | None = None
    """What answers /probe, where a collector does."""
    scrapes: Scrapes | None = None
    reloader: Reloader | None = None

    async def follow(self, settings: ExporterSettings) -> Changes:
        """Do as these settings say; sources that stay the same are left alone.

        Raises ConfigError, with nothing changed, when something cannot be changed like that.
        """
        lasting = [
            Problem("settings", 0, 0, f"{name} cannot change while the exporter runs: restart it")
            for name in LASTING
            if getattr(settings, name) != getattr(self.settings, name)
        ]
        if lasting:
            raise ConfigError(lasting)
        sections = settings.enabled()
        enabled = {name: self.specs[name] for name in sorted(sections)}
        before = self.clients.applications
        self.clients.applications = [each.application() for each in settings.applications]
        try:
            self.store.declare(families(enabled, sections))
            wanted = list(self._wanted(settings, sections, enabled))
            probes = [
                spec.on_demand(sections[name], self.clients)
                for name, spec in enabled.items()
                if spec.on_demand is not None
            ]
            self.schedule.check(one.name for one in wanted)
        except (ValueError, RunbookdError) as error:
            self.clients.applications = before
            if isinstance(error, ConfigError):
                raise
            raise ConfigError([Problem("settings", 0, 0, str(error))]) from error
        if any(spec.will_read_kubernetes(sections[name]) for name, spec in enabled.items()):
            await load_library()
        self.settings = settings
        self.probe = next(iter(probes), None)
        self.store.ledger.max_series = settings.max_series
        self.own.put("targets", target_samples(settings.targets()))
        return await self.schedule.follow(wanted, settings.targets())

    def document(self) -> Document:
        """Return everything that is published now; holds the loop while it renders."""
        for _ in self.refresh():
            pass
        return self.store.document()

    def refresh(self) -> Iterator[None]:
        """Bring what the exporter says of itself and its sources up to date, step by step."""
        self.own.put("process", itself.process_samples())
        if self.scrapes is not None:
            self.own.put("scrapes", self.scrapes.samples())
        if self.reloader is not None:
            self.own.put("reload", self.reloader.samples())
        yield from self.schedule.refresh()

    def collectors(self) -> set[str]:
        """Return the names of the collectors that have sources here."""
        return {state.collector for state in self.schedule.states}

    def _wanted(
        self, settings: ExporterSettings, sections: Mapping[str, Section], enabled: Specs
    ) -> Iterator[Wanted]:
        for name, spec in enabled.items():
            metrics = spec.published(sections[name])
            for source in spec.sources(sections[name], self.clients):
                made_of = [sections[name] if source.made_of is None else source.made_of]
                if not isinstance(source, PolledSource) and spec.kpis:
                    made_of.append(settings.targets())  # it tells of them only when it lists anew
                yield Wanted(name, metrics, _paced(source, self.every), made_of)


@asynccontextmanager
async def running(
    settings: ExporterSettings, specs: Specs, clock: Clock, *, every: timedelta | None = None
) -> AsyncIterator[Running]:
    """Run the enabled collectors until the block ends, or until a bug ends them all.

    `every` stands in for the intervals of the sources that are not slow.
    """
    sections = settings.enabled()
    declared = families({name: specs[name] for name in sorted(sections)}, sections)
    store = FragmentStore(declared, max_series=settings.max_series)
    shard = settings.shard.shard(socket.gethostname())
    own = store.open(OWN, budgeted=False)
    own.put("build", itself.build_samples())
    own.put("shard", itself.shard_samples(shard))
    schedule = Schedule(store, clock, settings.targets(), shard=shard)
    async with teardown() as closing:
        clients = open_clients(settings, clock)
        closing.add("clients", clients.close)
        task = asyncio.create_task(schedule.run(), name="schedule")
        closing.add("schedule", lambda: cancel(task))
        work = Running(specs, settings, clients, schedule, store, own, task, every)
        await work.follow(settings)
        yield work


def _paced(source: Source, every: timedelta | None) -> Source:
    if every is None or not isinstance(source, PolledSource) or is_slow(source):
        return source
    return replace(source, interval=every)
