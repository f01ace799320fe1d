"""Relists of 2,000 pods under scrapes: no scrape has a hole, none after it shows what is gone."""

import asyncio
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from exporter.shared.kube_client import load_library
from tests.bench.many_pods import Exporter, Server, exporter, server, until
from tests.bench.row import Row

PODS = 2_000
RELISTS = 5
GONE = 10
"""Pods that are deleted before each relist, unseen by the watch."""
NAME = re.compile(rb'^kpi_pod_info\{[^\n]*pod="([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """What a scrape told."""

    families: frozenset[bytes]
    pods: frozenset[bytes]

    @classmethod
    def of(cls, text: bytes) -> "Page":
        """Read a page."""
        families = frozenset(re.findall(rb"^# TYPE (\S+)", text, re.MULTILINE))
        return cls(families, frozenset(NAME.findall(text)))


@dataclass(slots=True)
class Seen:
    """What all scrapes told."""

    scrapes: int = 0
    holes: int = 0
    """Scrapes without a family that was there before."""
    losses: int = 0
    """Scrapes without a pod that is still there."""
    leftovers: int = 0
    """Scrapes after a relist that showed a pod which it did not hold."""
    during: list[int] = field(default_factory=list)
    """Scrapes during each relist."""


async def scrape_through(api: Server, work: Exporter, seen: Seen) -> None:
    """Let pods go while the watch is sent away, and scrape until the next listing is complete."""
    before = Page.of(work.page())
    failures = work.failures()
    staying = PODS - GONE * (len(seen.during) + 1)
    await api.order("relist", gone=GONE)
    scrapes = 0
    while not (work.failures() > failures and work.synced()):
        await asyncio.sleep(0)
        page = Page.of(work.page())
        scrapes += 1
        seen.holes += not before.families <= page.families
        seen.losses += len(before.pods & page.pods) < staying
    after = Page.of(work.page())
    seen.leftovers += len(after.pods) != staying
    seen.holes += not before.families <= after.families
    seen.scrapes += scrapes + 1
    seen.during.append(scrapes)


async def observe(root: Path) -> Seen:
    """Go through all relists."""
    seen = Seen()
    async with server(root, PODS) as api:
        await load_library()
        async with exporter(api.kubeconfig) as work:
            await until(lambda: work.synced() and work.series() > PODS, "all pods are listed")
            for _ in range(RELISTS):
                await scrape_through(api, work, seen)
    return seen


def measure() -> Iterable[Row]:
    """Count what was wrong with the pages."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        seen = asyncio.run(observe(Path(folder)))
    told = f"{RELISTS} relists of {PODS:,} pods: scrapes {{}}".format
    yield Row(told("in all"), seen.scrapes, "scrapes")
    yield Row(told("during the shortest"), min(seen.during), "scrapes", at_least=1)
    yield Row(told("without a family"), seen.holes, "scrapes", "G12", at_most=0)
    yield Row(told("without a pod that is there"), seen.losses, "scrapes", "G12", at_most=0)
    yield Row(told("that show what is gone"), seen.leftovers, "scrapes", "G12", at_most=0)
