"""`kpi-exporter check`: the operations guide's morning check, as one command."""

import asyncio
import json
import os
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from exporter import app as composition
from exporter.commands.delivery import earlier, is_address, keep, secret_url, send
from exporter.commands.looking import Look, own_passes, running_exporter, unless
from exporter.commands.sheet import sheet
from exporter.kpi import CATALOGUE
from exporter.morning.examine import examine
from exporter.morning.finding import Finding, Mark
from exporter.morning.history import Past, changes, past
from exporter.morning.kpis import values
from exporter.morning.observed import Observed
from exporter.morning.report import Report, stamp
from exporter.shared.clock import SystemClock
from exporter.shared.errors import PermanentError, TransientError
from exporter.shared.log import set_up_log
from exporter.shared.tasks import stop_signal
from exporter.terminal import Config, duration, out, told

Opened = AbstractAsyncContextManager[Look]

WATCH_EVERY = timedelta(seconds=30)

EXAMPLES = """[bold]Examples[/]

[dim]Collect twice, 15 s apart, and judge:[/]

$ kpi-exporter check --config exporter.yaml

[dim]Judge what a running exporter knows; look again every 10 s:[/]

$ kpi-exporter check --from http://127.0.0.1:9842

$ kpi-exporter check --from http://127.0.0.1:9842 --watch 10s

[dim]For people, and for programs:[/]

$ kpi-exporter check -c exporter.yaml -o markdown

$ kpi-exporter check -c exporter.yaml -o json | jq '.findings\\[] | select(.mark == "✗")'

[dim]Each morning to a chat, with what changed since the last one:[/]

$ kpi-exporter check --from URL --history checks.jsonl --webhook-file FILE

[bold]Marks[/]

✓ good   ✗ bad, with the next step   ? not known   · nothing to judge

[bold]Exit code[/]

0 all ✓   1 any ✗, or not delivered   3 any ? without ✗   2 wrong usage
"""


class Output(StrEnum):
    """How the check is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def _address(text: str) -> str:
    if not is_address(text):
        raise typer.BadParameter("write it as http://HOST:PORT")
    return text


@dataclass(frozen=True, slots=True)
class Checking:
    """One kind of check: what it is about, how it is shown, what it is compared with."""

    about: str
    output: Output
    feeds: dict[str, list[str]]
    before: Past | None = None

    async def report(self, look: Look) -> Report:
        """Look and judge; when nothing can be seen, that is what the report says."""
        try:
            seen = await look()
        except (TransientError, PermanentError) as error:
            step = "kubectl get pods -A -l app.kubernetes.io/name=kpi-exporter; its log"
            finding = Finding(Mark.BAD, "Exporter", self.about, f"cannot be read: {error}", step)
            return self._report([finding], None)
        was = self.before.kpis if self.before else {}
        return self._report(examine(seen, self.feeds, was), seen)

    def _report(self, findings: list[Finding], seen: Observed | None) -> Report:
        kpis = values(seen.page) if seen else []
        compared = changes(self.before, findings) if self.before else None
        now = SystemClock().now()
        return Report(self.about, now, findings, kpis, compared, saw_nothing=seen is None)

    def show(self, report: Report, *, again: bool = False) -> None:
        """Print a report; `again` says that it is one of many."""
        match self.output:
            case Output.JSON:
                typer.echo(json.dumps(report.as_json(), ensure_ascii=False))
            case Output.MARKDOWN:
                typer.echo(report.as_markdown())
            case Output.TABLE:
                if again and out.is_terminal:
                    out.clear()
                elif again:
                    out.print(f"─── {stamp(report.at)} ───", markup=False)
                out.print(sheet(report))


@dataclass(frozen=True, slots=True)
class Sending:
    """Where a report goes beside stdout."""

    webhook: str | None
    webhook_file: Path | None
    history: Path | None

    @property
    def is_wanted(self) -> bool:
        """Say whether it goes anywhere."""
        return any((self.webhook, self.webhook_file, self.history))

    async def deliver(self, report: Report, earlier_reports: list[Past]) -> None:
        """Post the report, then keep it: one that could not be sent is compared anew next time.

        A check that saw nothing is not kept, so that the next one is compared with what was seen.
        Raises TransientError, PermanentError or OSError.
        """
        url = self.webhook
        if self.webhook_file is not None:
            url = await secret_url(self.webhook_file)
        if url:
            await send(url, report, SystemClock())
        if self.history is not None and not report.saw_nothing:
            kept = past(report.at, report.exit_code, report.findings, report.kpis)
            await asyncio.to_thread(keep, self.history, [*earlier_reports, kept])


@told
def check(  # noqa: PLR0913 - each is an option of the command
    every: Annotated[
        str | None, typer.Argument(metavar="EVERY", help="With --watch: how often (30s).")
    ] = None,
    *,
    config: Config = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--from", parser=_address, metavar="URL", help="Read a running exporter instead."
        ),
    ] = None,
    sample: Annotated[
        timedelta,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            show_default="15s",
            help="Time between the two passes that rates are made of.",
        ),
    ] = timedelta(seconds=15),
    output: Annotated[Output, typer.Option("--output", "-o")] = Output.TABLE,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Repeat until Ctrl-C, redrawing a terminal.")
    ] = False,
    webhook: Annotated[
        str | None,
        typer.Option(
            parser=_address,
            metavar="URL",
            help="Post the report: `text` as Slack takes it, `markdown` and `report` (JSON).",
        ),
    ] = None,
    webhook_file: Annotated[
        Path | None, typer.Option(help="The same, for an address that is secret.")
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(help="Compare with the last report in this file, and add this one (31 kept)."),
    ] = None,
    exit_zero: Annotated[
        bool,
        typer.Option(
            "--exit-zero", help="Exit with 0 whatever was found, once the report is delivered."
        ),
    ] = False,
) -> None:
    """Do the operations guide's morning check, in its order.

    What is bad comes with the next step; what is not enabled says so.
    """
    sending = Sending(webhook, webhook_file, history)
    pace = _pace(every, sending, watch=watch)
    specs = composition.collectors()
    feeds = {kpi: [name for name, spec in specs.items() if kpi in spec.kpis] for kpi in CATALOGUE}
    earlier_reports = earlier(history) if history else []
    before = earlier_reports[-1] if earlier_reports else None
    if address:
        checking = Checking(urlsplit(address).netloc.rpartition("@")[2], output, feeds, before)
        opened = running_exporter(address)
    else:
        set_up_log("error")
        settings = composition.read_settings(config, os.environ, specs)
        checking = Checking(settings.cluster, output, feeds, before)
        opened = own_passes(settings, specs, sample)
    if pace is None:
        code = asyncio.run(_once(checking, opened, sending, earlier_reports))
    else:
        code = asyncio.run(_watch(checking, opened, pace))
    raise typer.Exit(0 if exit_zero else code)


async def _once(
    checking: Checking, opened: Opened, sending: Sending, earlier_reports: list[Past]
) -> int:
    """Look once, print, deliver; return the exit code."""
    async with opened as look:
        report = await checking.report(look)
    checking.show(report)
    await sending.deliver(report, earlier_reports)
    return report.exit_code


async def _watch(checking: Checking, opened: Opened, pace: timedelta) -> int:
    """Look again and again until SIGINT or SIGTERM; return the exit code of the last report."""
    code = 0
    async with opened as look, stop_signal() as stop:
        while not stop.is_set():
            report = await unless(stop, checking.report(look))
            if report is not None:
                checking.show(report, again=True)
                code = report.exit_code
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pace.total_seconds())
    return code


def _pace(every: str | None, sending: Sending, *, watch: bool) -> timedelta | None:
    """Return how often to look, or None for once. Raises BadParameter for what does not fit."""
    if every is not None and not watch:
        raise typer.BadParameter("goes with --watch", param_hint="EVERY")
    if sending.webhook and sending.webhook_file:
        raise typer.BadParameter("it goes to one webhook", param_hint="--webhook-file")
    if not watch:
        return None
    if sending.is_wanted:
        raise typer.BadParameter("send or keep one report, or watch", param_hint="--watch")
    pace = WATCH_EVERY if every is None else duration(every)
    if pace <= timedelta(0):
        raise typer.BadParameter("must be longer than nothing", param_hint="EVERY")
    return pace
