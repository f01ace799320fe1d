"""`make demo`: one scenario, from its cause to the report."""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.markdown import Markdown

from exporter.shared.clock import SystemClock
from tests.bed import bed as beds
from tests.bed import watch
from tests.bed.bed import Bed
from tests.bed.load import Load
from tests.bed.process import wait_until
from tests.bed.scenario import Scenario, discovered
from tests.bed.settings import write_policies
from tests.bed.story import Story, out

RATE = 40.0
"""Requests a second; at the largest factor a verification window still sees min_requests."""


def main() -> None:
    """Run one scenario; exit 0 only when it ended as it should."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default=os.environ.get("SCENARIO") or "bad-release")
    parser.add_argument("--factor", type=float, default=float(os.environ.get("TIME_FACTOR") or 0))
    parser.add_argument("--keep", action="store_true", default=bool(os.environ.get("KEEP")))
    options = parser.parse_args()
    known = {name: each for name, each in discovered().items() if not each.real}
    if options.scenario not in known:
        parser.error(f"SCENARIO is one of {', '.join(known)}, not {options.scenario!r}")
    scenario = known[options.scenario]
    factor = options.factor or scenario.factor
    ended_well = asyncio.run(_play(options.scenario, scenario, factor, keep=options.keep))
    sys.exit(0 if ended_well else 1)


async def _play(name: str, scenario: Scenario, factor: float, *, keep: bool) -> bool:
    story = Story(SystemClock())
    out.print(
        f"[bold]{name}[/bold] ({scenario.help}): every shipped duration divided by {factor:g}"
    )
    with tempfile.TemporaryDirectory(prefix="runbookd-demo-") as folder:
        story.tell(
            "bed",
            "starting PostgreSQL, a simulated cluster, Prometheus, Alertmanager, kpi-exporter and "
            "alert-responder",
        )
        root = Path(folder)
        policies = write_policies(root, scenario.policy)
        async with beds.start(root, factor=factor, policies=policies) as bed, _load(bed):
            story.tell("up", f"task-manager v3 runs under {RATE:g} requests a second")
            await wait_until(
                lambda: watch.healthy(bed, scenario.kpi), 90, "every KPI is within its target"
            )
            story.tell("healthy", "KPIs are within their targets")
            ended_well = await scenario.play(bed, story)
            await _print_report(bed, story)
            verdict = "[green]as it should[/green]" if ended_well else "[red]not as it should[/red]"
            out.print(f"{name} ended {verdict}")
            if keep:
                await _keep(bed)
    return ended_well


@asynccontextmanager
async def _load(bed: Bed) -> AsyncIterator[Load]:
    """Put users on the application through its Service."""
    urls = [f"{bed.places.probe_url}/tasks"]
    async with Load.start(lambda: urls, rate=RATE, total=60_000) as load:
        yield load


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
        "alert-responder": bed.responder.url,
        "Prometheus": bed.prometheus.url,
        "Alertmanager": bed.alertmanager.url,
        "kubeconfig": str(bed.cluster.kubeconfig),
        "operator token": bed.places.token("oncall"),
    }.items():
        out.print(f"{name:16} {url}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
