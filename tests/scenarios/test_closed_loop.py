"""A bad release, from the first error to the all-clear, as Prometheus and people saw it."""

import re
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from exporter.shared.clock import SystemClock
from tests.bed import bed as beds
from tests.bed import manifests, watch
from tests.bed.load import Load
from tests.bed.process import wait_until
from tests.bed.prometheus import promtool
from tests.bed.scenarios import bad_release
from tests.bed.story import Story

pytestmark = pytest.mark.timeout(240)


async def _page(url: str) -> str:
    async with aiohttp.ClientSession(url) as session, session.get("/metrics") as answer:
        return await answer.text()


async def test_a_bad_release_is_found_rolled_back_verified_and_told(tmp_path: Path) -> None:
    async with beds.start(tmp_path, factor=20.0) as bed:
        urls = [f"{bed.places.probe_url}/tasks"]
        async with Load.start(lambda: urls, rate=40.0, seconds=300.0):
            await wait_until(
                lambda: watch.healthy(bed, "error_ratio"), 60, "the KPIs are within target"
            )
            story = Story(SystemClock())
            assert await bad_release.play(bed, story), story.seen

        # Prometheus takes the exporter's page, beside the labels that it attaches itself.
        assert {target.health for target in await bed.prometheus.targets()} == {"up"}
        page = await _page(bed.exporter.url)
        lines = [line for line in page.splitlines() if not line.startswith("#")]
        series = Counter(line.rpartition(" ")[0] for line in lines)
        assert [name for name, count in series.items() if count > 1] == []
        lint = promtool("check", "metrics", stdin=page)
        assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")
        ratio = await bed.prometheus.query("namespace_workload:kpi_error_ratio:rate")
        assert [labels.get("pod") for labels, _ in ratio] == [None]
        own = await bed.prometheus.query(
            f'kpi_http_requests_total{{namespace="{manifests.NAMESPACE}"}}'
        )
        assert {labels["pod"] for labels, _ in own} == {"kpi-exporter-0"}  # the clash is there

        told = watch.paged(bed)
        assert told == [(1, "oncall-pager"), (1, "oncall@example.com")]
        await wait_until(lambda: _resolved(bed), 20, "the pager got the all-clear")
        assert watch.paged(bed) == told
        # The leader asks Alertmanager's API, too.
        own_page = await _page(bed.responder.url)
        assert re.search(r'responder_reconciliations_total{answered="all"} [1-9]', own_page)


async def _resolved(bed: beds.Bed) -> bool:
    about = f"on deployment/{manifests.NAMESPACE}/{manifests.NAME}"
    return any(
        item["kind"] == "resolve" and about in str(item["title"]) for item in watch.pages(bed)
    )
