"""Listing again under scrapes: no hole while it lasts, and nothing that is gone after it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from exporter.shared.kube_client import load_library
from tests.bed.process import free_port
from tests.bench.many_pods import Exporter, exporter, until
from tests.bench.pods_server import TOO_OLD, PodsServer

pytestmark = pytest.mark.timeout(60)

PODS = 300
GONE = 20
WITHIN = 30.0
POD = re.compile(rb'^kpi_pod_info\{[^\n]*pod="([^"]+)"', re.MULTILINE)
FAMILY = re.compile(rb"^# TYPE (kpi_pod_\S+)", re.MULTILINE)
FRESH = re.compile(
    rb'^kpi_source_last_success_timestamp_seconds\{[^\n]*source="pods"\} (\S+)', re.MULTILINE
)


class Api:
    """An API server that can go away and come back, on the same address."""

    def __init__(self) -> None:
        self.pods = PodsServer(PODS)
        self._port = free_port()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        self._runner = web.AppRunner(self.pods.application(), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    def delete(self) -> None:
        """Take the last pods away; no watch is told."""
        pods = self.pods.objects["/api/v1/pods"]
        del pods[len(pods) - GONE :]

    def send_away(self) -> None:
        """End the watches as when what they ask for is too old: they have to list anew."""
        for watch in self.pods.watches:
            watch.put_nowait(TOO_OLD)
            watch.put_nowait(b"")

    def kubeconfig(self, root: Path) -> Path:
        config = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}],
            "users": [{"name": "me", "user": {"token": "none"}}],
        }
        path = root / "kubeconfig"
        path.write_text(json.dumps(config))
        return path


@dataclass(frozen=True)
class Scrape:
    """What a page tells of pods."""

    pods: set[bytes]
    families: set[bytes]
    fresh: float
    """When the source was last known to be up to date, in seconds since the epoch."""

    @classmethod
    def of(cls, work: Exporter) -> "Scrape":
        page = work.page()
        told = FRESH.search(page)
        return cls(
            set(POD.findall(page)), set(FAMILY.findall(page)), float(told[1]) if told else 0.0
        )


@asynccontextmanager
async def listed(root: Path) -> AsyncIterator[tuple[Api, Exporter]]:
    """Run both until every pod is published."""
    api = Api()
    await api.start()
    await load_library()
    try:
        async with exporter(api.kubeconfig(root)) as work:
            await until(lambda: len(Scrape.of(work).pods) == PODS, "every pod is published")
            await until(lambda: api.pods.watches, "pods are watched")
            yield api, work
    finally:
        await api.stop()


async def scrapes_until_fresh(work: Exporter, since: float) -> list[Scrape]:
    """Scrape whenever the loop is free, up to the first page that says it is newer than `since`."""
    found: list[Scrape] = []
    async with asyncio.timeout(WITHIN):
        while not found or found[-1].fresh <= since:
            await asyncio.sleep(0)
            found.append(Scrape.of(work))
    return found


async def test_no_scrape_during_a_relist_has_a_hole_and_none_after_it_shows_what_is_gone(
    tmp_path: Path,
) -> None:
    async with listed(tmp_path) as (api, work):
        before = Scrape.of(work)
        api.delete()
        api.send_away()
        *during, after = await scrapes_until_fresh(work, before.fresh)
        assert len(during) > 1, "pages were read while the listing went on"
        assert len(after.pods) == PODS - GONE
        for page in (*during, after):
            assert page.families == before.families
            assert page.pods >= after.pods


async def test_an_outage_makes_no_hole_and_the_first_page_after_it_shows_nothing_that_is_gone(
    tmp_path: Path,
) -> None:
    async with listed(tmp_path) as (api, work):
        before = Scrape.of(work)
        failures = work.failures()
        await api.stop()
        await until(lambda: work.failures() > failures, "the API server is missed")
        away = Scrape.of(work)
        assert (away.pods, away.families) == (before.pods, before.families)
        assert away.fresh == before.fresh, "nothing says that it is up to date"
        api.delete()
        await api.start()
        await until(lambda: api.pods.watches, "the watch goes on where it was")
        api.send_away()
        *during, after = await scrapes_until_fresh(work, before.fresh)
        assert len(after.pods) == PODS - GONE
        for page in (*during, after):
            assert page.families == before.families
            assert page.pods >= after.pods
