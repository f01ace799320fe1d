"""`make demo`: a bad release (or an outage that nothing cures), from first error to the report."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from exporter.shared.clock import Clock, SystemClock
from tests.bed import bed as beds
from tests.bed import manifests, watch
from tests.bed.bed import Bed
from tests.bed.load import Load
from tests.bed.process import wait_until

RATE = 40.0
"""Requests a second; at the largest factor a verification window still sees min_requests."""

FACTORS = {"bad-release": 10.0, "unfixable": 20.0}
"""Default TIME_FACTOR: level 3 is told after 60 minutes, which at 10 would take six."""

BOUND_SECONDS = {"bad-release": 180.0, "unfixable": 280.0}

out = Console(soft_wrap=True, highlight=False)


@dataclass
class Story:
    """Prints what happens, with the seconds since the cause."""

    clock: Clock
    began: float = 0.0
    seen: set[str] = field(default_factory=set)
    times: dict[str, float] = field(default_factory=dict)

    def cause(self, text: str) -> None:
        """Start the clock: this is what went wrong."""
        self.began = self.clock.monotonic()
        self.tell("cause", text)

    def tell(self, name: str, text: str, *, style: str = "") -> None:
        """Print one step, the first time it is told."""
        if name in self.seen:
            return
        self.seen.add(name)
        elapsed = self.clock.monotonic() - self.began if self.began else 0.0
        self.times.setdefault(name, elapsed)
        stamp = f"[dim]{elapsed:6.1f} s[/dim] " if self.began else "         "
        out.print(stamp, end="")
        out.print(text, style=style or None, markup=False)


def main() -> None:
    """Run one scenario; exit 0 only when it ended as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default=os.environ.get("SCENARIO") or "bad-release")
    parser.add_argument("--factor", type=float, default=float(os.environ.get("TIME_FACTOR") or 0))
    parser.add_argument("--keep", action="store_true", default=bool(os.environ.get("KEEP")))
    options = parser.parse_args()
    if options.scenario not in SCENARIOS:
        parser.error(f"SCENARIO is one of {', '.join(SCENARIOS)}, not {options.scenario!r}")
    factor = options.factor or FACTORS[options.scenario]
    ended_well = asyncio.run(_play(options.scenario, factor, keep=options.keep))
    sys.exit(0 if ended_well else 1)


async def _play(scenario: str, factor: float, *, keep: bool) -> bool:
    story = Story(SystemClock())
    out.print(f"[bold]{scenario}[/bold]: every shipped duration divided by {factor:g}")
    with tempfile.TemporaryDirectory(prefix="runbookd-demo-") as folder:
        story.tell(
            "bed",
            "starting PostgreSQL, a simulated cluster, Prometheus, Alertmanager, kpi-exporter and "
            "alert-responder",
        )
        async with beds.start(Path(folder), factor=factor) as bed, _load(bed):
            story.tell("up", f"task-manager v3 runs under {RATE:g} requests a second")
            await wait_until(lambda: watch.healthy(bed), 90, "every KPI is within its target")
            story.tell("healthy", "KPIs are within their targets")
            ended_well = await SCENARIOS[scenario](bed, story)
            await _print_report(bed, story)
            verdict = "[green]as it should[/green]" if ended_well else "[red]not as it should[/red]"
            out.print(f"{scenario} ended {verdict}")
            if keep:
                await _keep(bed)
    return ended_well


@asynccontextmanager
async def _load(bed: Bed) -> AsyncIterator[Load]:
    """Put users on the application through its Service."""
    urls = [f"{bed.places.probe_url}/tasks"]
    async with Load.start(lambda: urls, rate=RATE, total=60_000) as load:
        yield load


async def _bad_release(bed: Bed, story: Story) -> bool:
    """Release v4-errors, and watch it being found, rolled back and verified."""
    await bed.deploy("v4-errors")
    story.cause("released task-manager:v4-errors, which answers every fifth request with 500")
    deadline = story.clock.monotonic() + BOUND_SECONDS["bad-release"]
    while story.clock.monotonic() < deadline:
        await _watch(bed, story)
        incident = await watch.incident(bed)
        if incident and incident["status"] != "open":
            within, image = await watch.within(bed), await bed.image()
            story.tell("after", f"{watch.KPI} within target: {within}; the Deployment runs {image}")
            return within and image == f"{manifests.NAME}:v3"
        await story.clock.sleep(beds.PAUSE)
    story.tell("late", f"not resolved within {BOUND_SECONDS['bad-release']:g} s", style="red")
    return False


async def _unfixable(bed: Bed, story: Story) -> bool:
    """Make the database refuse connections: no rollback cures that, so people are told."""
    await bed.deploy("v4")
    await wait_until(bed.rolled_out, 60, "task-manager v4 is rolled out")
    await bed.postgres.refuse_connections("taskmanager")
    story.cause("the application's database refuses connections (after a healthy update to v4)")
    deadline = story.clock.monotonic() + BOUND_SECONDS["unfixable"]
    while story.clock.monotonic() < deadline:
        await _watch(bed, story)
        if (3, "manager@example.com") in watch.paged(bed):
            break
        await story.clock.sleep(beds.PAUSE)
    told = watch.paged(bed)
    story.tell("told", f"who was told, by level: {told}")
    ended = [str(fact["text"]) for fact in await watch.timeline(bed) if fact["kind"] == "run_ended"]
    exhausted = any("exhausted" in text for text in ended)
    if not exhausted:
        story.tell("odd", f"no run ended exhausted: {ended}", style="red")
    return exhausted and told == EVERYBODY_ONCE


EVERYBODY_ONCE = [
    (1, "oncall-pager"),
    (1, "oncall@example.com"),
    (2, "senior-pager"),
    (3, "manager@example.com"),
]
"""Who the shipped policy tells, by level."""

SCENARIOS = {"bad-release": _bad_release, "unfixable": _unfixable}


async def _watch(bed: Bed, story: Story) -> None:
    """Tell what is new: the KPI, the alert, and every fact of the incident's timeline."""
    if not await watch.within(bed):
        story.tell("kpi", f"{watch.KPI} has left its target", style="yellow")
    for alert in await bed.prometheus.alerts():
        name = f"{alert.labels['alertname']} {alert.state}"
        subject = alert.labels.get("workload") or alert.labels.get("source", "")
        story.tell(f"alert {name} {subject}", f"alert {name}: {subject}", style="yellow")
    for fact in await watch.timeline(bed):
        story.tell(f"{fact['at']}{fact['text']}", f"{fact['phase']}: {fact['text']}")
        story.times.setdefault(str(fact["kind"]), story.clock.monotonic() - story.began)


async def _print_report(bed: Bed, story: Story) -> None:
    incident = await watch.incident(bed)
    if incident is not None:
        path = f"/api/v1/incidents/{incident['id']}/report"
        report = await asyncio.to_thread(watch.client(bed).text, path)
        body, _, evidence = report.partition("\n## Evidence\n")
        out.rule("report")
        out.print(Markdown(body) if out.is_terminal else body, markup=False)
        pieces = [line.removeprefix("### ") for line in evidence.splitlines() if line[:4] == "### "]
        out.print("Evidence attached, left out here:", *pieces, sep="\n- ", markup=False)
    out.rule("times")
    kinds = (
        "kpi",
        "alert_firing",
        "incident_opened",
        "evidence",
        "applied",
        "verified",
        "run_ended",
        "incident_resolved",
    )
    for kind in kinds:
        if kind in story.times:
            out.print(f"{story.times[kind]:6.1f} s  {kind.replace('_', ' ')}")


async def _keep(bed: Bed) -> None:
    """Leave everything up until Ctrl-C."""
    out.rule("left running; Ctrl-C ends it")
    for name, url in {
        "application": bed.places.probe_url,
        "kpi-exporter": f"{bed.exporter.url}/metrics",
        "alert-responder": f"{bed.responder.url}/docs",
        "Prometheus": bed.prometheus.url,
        "Alertmanager": bed.alertmanager.url,
        "kubeconfig": str(bed.cluster.kubeconfig),
        "operator token": bed.places.token("oncall"),
    }.items():
        out.print(f"{name:16} {url}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
