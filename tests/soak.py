"""`make soak`: half an hour of 10,000 pods that change, with relists and outages.

It takes SECONDS (1800), watches one exporter as Prometheus would, and says what it saw. It ends
with 0 only if nothing that the exporter promises
was broken: no scrape without a family, no series of a pod that is gone after one relist and one
scrape, no growth of memory after the first third.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean

import aiohttp

from exporter.shared.clock import SystemClock
from tests.bed.process import Process, free_port, wait_until
from tests.bench.many_pods import Server, server
from tests.bench.measuring import rss_mb

SECONDS = float(os.environ.get("SECONDS") or 1800)
PODS = 10_000
CHANGES = 100
"""A second."""
SCRAPE_EVERY = 15
RELIST_EVERY = 120
GONE = 200
"""Pods that a relist finds missing; as many have come since the one before."""
OUTAGE_EVERY = 300
OUTAGE = 20
"""Seconds in which the API server does not answer."""
GROWTH = 1.05
"""What memory may grow from the second third to the last."""


@dataclass
class Seen:
    """What the scrapes showed."""

    families: set[str] = field(default_factory=set)
    scrapes: int = 0
    missing: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    changes: int = 0
    relists: int = 0
    outages: int = 0

    def faults(self) -> Iterator[str]:
        """Say what was not as promised."""
        yield from self.missing
        yield from self.stale
        third = len(self.rss_mb) // 3
        before, after = mean(self.rss_mb[third : 2 * third]), mean(self.rss_mb[2 * third :])
        if after > before * GROWTH:
            yield f"memory grew from {before:.0f} to {after:.0f} MB"


@dataclass(frozen=True)
class Page:
    """One scrape."""

    families: set[str]
    pods: int
    seconds: float


class Soak:
    """The server, the exporter, and what was seen."""

    def __init__(self, api: Server, exporter: Process, url: str) -> None:
        self.api = api
        self.exporter = exporter
        self.url = url
        self.clock = SystemClock()
        self.seen = Seen()

    async def scrape(self) -> Page:
        """Read the page as Prometheus does, compressed."""
        began = self.clock.monotonic()
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as got:
            text = await got.text()
        took = self.clock.monotonic() - began
        families = {line.split(" ", 3)[2] for line in text.splitlines() if line[:7] == "# TYPE "}
        return Page(families, text.count("\nkpi_pod_info{"), took)

    async def look(self) -> Page:
        """Scrape once and keep what is to be judged."""
        page = await self.scrape()
        seen = self.seen
        seen.scrapes += 1
        seen.seconds.append(page.seconds)
        seen.rss_mb.append(rss_mb(self.exporter.pid))
        if lost := seen.families - page.families:
            seen.missing.append(f"scrape {seen.scrapes} lacks {', '.join(sorted(lost))}")
        return page

    async def synced(self, pods: int, within: float) -> bool:
        """Wait until as many pods are published as there are."""
        until = self.clock.monotonic() + within
        while (await self.scrape()).pods != pods:
            if self.clock.monotonic() > until:
                return False
            await asyncio.sleep(1)
        return True

    async def relist(self) -> None:
        """Take pods away unseen: they are gone after one relist and one scrape."""
        left = int(await self.api.order("relist", gone=GONE))
        self.seen.relists += 1
        if not await self.synced(left, 30):
            published = (await self.scrape()).pods
            self.seen.stale.append(f"{published} pods are published 30 s after {left} were left")

    async def outage(self) -> None:
        """Let the API server answer nothing for a while; what is known stays."""
        os.kill(self.api.pid, signal.SIGSTOP)
        try:
            for _ in range(OUTAGE // SCRAPE_EVERY + 1):
                await self.look()
                await asyncio.sleep(OUTAGE / 2)
        finally:
            os.kill(self.api.pid, signal.SIGCONT)
        self.seen.outages += 1

    async def run(self) -> None:
        """Change, scrape, relist and break, each at its own pace."""
        self.seen.families = (await self.scrape()).families
        began = self.clock.monotonic()
        due = {"scrape": 0.0, "relist": RELIST_EVERY, "outage": OUTAGE_EVERY, "told": 0.0}
        while (now := self.clock.monotonic() - began) < SECONDS:
            await self.api.order("events", count=CHANGES - 1)
            self.seen.changes += CHANGES
            if now >= due["scrape"]:
                due["scrape"] = now + SCRAPE_EVERY
                await self.look()
            if now >= due["relist"]:
                due["relist"] = now + RELIST_EVERY
                await self.relist()
            if now >= due["outage"]:
                due["outage"] = now + OUTAGE_EVERY
                await self.outage()
            if now >= due["told"]:
                due["told"] = now + 60
                print(self.line(now), flush=True)  # noqa: T201 - progress of a long run
            await asyncio.sleep(max(0.0, 1 - (self.clock.monotonic() - began - now)))

    def line(self, now: float) -> str:
        """Say how far it is."""
        seen = self.seen
        return (
            f"{now:5.0f} s  {seen.scrapes} scrapes (slowest {max(seen.seconds):.2f} s), "
            f"{seen.changes} changes, {seen.relists} relists, {seen.outages} outages, "
            f"{seen.rss_mb[-1]:.0f} MB, {len(seen.missing) + len(seen.stale)} faults"
        )


async def soak() -> int:
    """Run it; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        async with server(root, PODS) as api:
            port = free_port()
            config = root / "exporter.yaml"
            config.write_text(
                f"listen: {{address: 127.0.0.1, port: {port}}}\n"
                f"kubeconfig: {api.kubeconfig}\n"
                "collectors: {kubernetes: {}}\n"
            )
            argv = [sys.executable, "-m", "exporter", "serve", "--config", str(config)]
            async with await Process.start(argv, log=root / "log", name="exporter") as exporter:
                work = Soak(api, exporter, f"http://127.0.0.1:{port}")

                async def listed() -> bool:
                    try:
                        return (await work.scrape()).pods == PODS
                    except aiohttp.ClientError:
                        return False

                await wait_until(listed, 120, f"{PODS} pods are published")
                await work.run()
    faults = list(work.seen.faults())
    print(work.line(SECONDS), *(faults or ["nothing was broken"]), sep="\n")  # noqa: T201
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(soak()))
