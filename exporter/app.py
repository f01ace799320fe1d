"""The composition root: settings → clients → collectors → schedule → server."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import exporter.collectors
from exporter import itself
from exporter import schedule as schedules
from exporter.clients.open import OpenClients
from exporter.contract import CollectorSpec, Metric, OnDemand, PolledSource, Source
from exporter.exposition.document import Document
from exporter.exposition.fragments import Fragments
from exporter.exposition.scrape import METRICS as SCRAPE_METRICS
from exporter.exposition.scrape import Scrapes
from exporter.exposition.snapshots import Snapshots
from exporter.exposition.store import FragmentStore
from exporter.kpi import CATALOGUE
from exporter.readings import TARGET, target_samples
from exporter.schedule import Schedule
from exporter.server import Views, build
from exporter.settings import PREFIX, ExporterSettings, settings_model
from exporter.shared.clock import Clock
from exporter.shared.config import Section, load_settings
from exporter.shared.http import Server
from exporter.shared.kube_client import load_library
from exporter.shared.log import get_log
from exporter.shared.plugins import discover
from exporter.shared.tasks import cancel, stop_signal, teardown
from exporter.sources import is_slow

MAX_SCRAPES = 40
"""Scrapes at once; node_exporter's default."""

Specs = Mapping[str, CollectorSpec[Section]]

_log = get_log(__name__)


def collectors() -> Specs:
    """Return every collector there is."""
    return discover(exporter.collectors, CollectorSpec)


def model(specs: Specs) -> type[ExporterSettings]:
    """Return the settings' model for these collectors and the catalogue's targets."""
    targets = {kpi.name: kpi.target for kpi in CATALOGUE.values() if kpi.target is not None}
    return settings_model(specs, targets)


def read_settings(path: Path | None, environ: Mapping[str, str], specs: Specs) -> ExporterSettings:
    """Read the settings. Raises ConfigError with every problem."""
    return load_settings(model(specs), path, prefix=PREFIX, environ=environ)


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
    return (*collected, *schedules.FAMILIES, TARGET, *itself.METRICS, *SCRAPE_METRICS)


@dataclass(slots=True)
class Running:
    """Sources at work, and what they publish."""

    schedule: Schedule
    store: FragmentStore
    own: Fragments
    """What the exporter says of itself."""
    probe: OnDemand | None = None
    """What answers /probe, where a collector does."""
    scrapes: Scrapes | None = None

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
        yield from self.schedule.refresh()

    def collectors(self) -> set[str]:
        """Return the names of the collectors that have sources here."""
        return {state.collector for state in self.schedule.states}


def open_clients(settings: ExporterSettings, clock: Clock) -> OpenClients:
    """Return clients that connect with their first use; the caller closes them."""
    return OpenClients(
        kubeconfig=settings.kubeconfig,
        applications=[each.application() for each in settings.applications],
        clock=clock,
    )


@asynccontextmanager
async def running(
    settings: ExporterSettings, specs: Specs, clock: Clock, *, every: timedelta | None = None
) -> AsyncIterator[Running]:
    """Run the enabled collectors until the block ends.

    `every` stands in for the intervals of the sources that are not slow.
    """
    sections = settings.enabled()
    enabled = {name: specs[name] for name in sorted(sections)}
    store = FragmentStore(families(enabled, sections), max_series=settings.max_series)
    shard = settings.shard.shard(socket.gethostname())
    own = store.open((TARGET, *itself.METRICS, *SCRAPE_METRICS), budgeted=False)
    own.put("targets", target_samples(settings.targets()))
    own.put("build", itself.build_samples())
    own.put("shard", itself.shard_samples(shard))
    schedule = Schedule(store, clock, settings.targets(), shard=shard)
    async with teardown() as closing:
        clients = open_clients(settings, clock)
        closing.add("clients", clients.close)
        for name, spec in enabled.items():
            found = [_paced(source, every) for source in spec.sources(sections[name], clients)]
            schedule.add(name, spec.published(sections[name]), found)
        if any(spec.will_read_kubernetes(sections[name]) for name, spec in enabled.items()):
            await load_library()
        work = asyncio.create_task(schedule.run(), name="schedule")
        closing.add("schedule", lambda: cancel(work))
        probes = [
            spec.on_demand(sections[name], clients)
            for name, spec in enabled.items()
            if spec.on_demand is not None
        ]
        yield Running(schedule, store, own, next(iter(probes), None))


def _paced(source: Source, every: timedelta | None) -> Source:
    if every is None or not isinstance(source, PolledSource) or is_slow(source):
        return source
    return replace(source, interval=every)


async def serve(settings: ExporterSettings, specs: Specs, clock: Clock) -> None:
    """Serve until SIGTERM or SIGINT; then stop listening, finish open requests, close the rest.

    Raises OSError when the address cannot be bound.
    """
    async with (
        stop_signal() as stop,
        running(settings, specs, clock) as work,
        teardown() as closing,
    ):
        listen = settings.listen
        snapshots = Snapshots(work.store, clock, before=work.refresh)
        closing.add("refresh", snapshots.close)
        work.scrapes = Scrapes(snapshots, clock, work.collectors, MAX_SCRAPES)
        views = Views(
            work.scrapes.handle,
            work.schedule.missing,
            lambda: [state.record() for state in work.schedule.states],
            work.schedule.shown,
            work.probe,
        )
        server = await Server.start(build(views), listen.address, listen.port)
        closing.add("server", server.close, within=timedelta(seconds=10))
        _log.info("listening", url=server.url, sources=len(work.schedule.states))
        if not work.schedule.states:
            _log.warning("no collector is enabled: only the exporter's own series are published")
        await stop.wait()
        _log.info("stopping")
