"""`kpi-exporter collect`: one pass of one collector, with its log, its timing and its page."""

import asyncio
import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

import typer
from rich.table import Table

from exporter import app as composition
from exporter.contract import PolledSource
from exporter.running import Running
from exporter.settings import ExporterSettings, ShardSettings
from exporter.shared.clock import SystemClock
from exporter.shared.config import nearest, parse_duration
from exporter.shared.errors import RunbookdError
from exporter.shared.log import set_up_log
from exporter.sources import SourceState
from exporter.terminal import Config, err, told

LISTED = timedelta(seconds=60)
"""Longest wait for a stream's first listing, where nothing else is said."""

LOOK = timedelta(milliseconds=20)


@told
def collect(
    name: Annotated[str, typer.Argument(help="The collector, as `kpi-exporter collectors` lists.")],
    config: Config = None,
    source: Annotated[
        str | None, typer.Option(help="Print this source's pass alone; all run.")
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(help="Longest wait; by default what the slowest source may take."),
    ] = None,
) -> None:
    """Run one pass of a collector and print what a scrape would get: 0 all well, 1 any failed.

    The page goes to standard output, for `promtool check metrics` as well; the log and a table of
    the sources go to standard error. A collector that is not set up runs with its defaults.
    """
    try:
        longest = None if within is None else parse_duration(within)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--within") from error
    specs = composition.collectors()
    if name not in specs:
        raise RunbookdError(f"{name!r} is not a collector; {nearest(name, specs)}")
    settings = alone(composition.read_settings(config, os.environ, specs), name, specs)
    set_up_log("debug")
    states, page = asyncio.run(_pass(settings, specs, longest))
    if source is not None:
        known = [state.source.name for state in states]
        if source not in known:
            raise RunbookdError(f"{name} has no source {source!r}; {nearest(source, known)}")
        states = [state for state in states if state.source.name == source]
    if not states:
        raise RunbookdError(f"{name} has no source: set up collectors.{name}")
    err.print(_table(states))
    typer.echo(page, nl=False)
    raise typer.Exit(0 if all(state.up for state in states) else 1)


def alone(settings: ExporterSettings, name: str, specs: composition.Specs) -> ExporterSettings:
    """Return settings that enable one collector and leave it no other shard."""
    section = settings.enabled().get(name) or specs[name].settings()
    sections = {**dict.fromkeys(type(settings.collectors).model_fields), name: section}
    collectors = settings.collectors.model_copy(update=sections)
    return settings.model_copy(update={"collectors": collectors, "shard": ShardSettings()})


async def _pass(
    settings: ExporterSettings, specs: composition.Specs, longest: timedelta | None
) -> tuple[list[SourceState], str]:
    clock = SystemClock()
    async with composition.running(settings, specs, clock) as work:
        bound = longest or max((_may_take(state) for state in work.schedule.states), default=LISTED)
        until = clock.monotonic() + bound.total_seconds()
        while work.schedule.missing() and clock.monotonic() < until:
            await clock.sleep(LOOK)
        page = _page(work)
        return list(work.schedule.states), page


def _may_take(state: SourceState) -> timedelta:
    source = state.source
    return source.timeout if isinstance(source, PolledSource) else LISTED


def _page(work: Running) -> str:
    return work.document().only(work.collectors()).text().decode()


def _table(states: Iterable[SourceState]) -> Table:
    table = Table("source", "result", "seconds", "series", box=None, pad_edge=False)
    for state in states:
        result = "ok" if state.up else state.last_error or "did not end in time"
        took = "" if state.duration is None else f"{state.duration:.3f}"
        table.add_row(state.name, result, took, str(state.fragments.series))
    return table
