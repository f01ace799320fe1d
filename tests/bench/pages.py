"""Pages of an application's pods: fetched, read and merged, beside prometheus_client's parser."""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import process_time

from prometheus_client.parser import text_string_to_metric_families

from exporter.clients.http import HttpClient
from exporter.merge import Classifier
from exporter.pages import PageReader
from exporter.podpages import Limits
from exporter.scraping import Scraping
from exporter.tally import Target
from tests.bed.process import Process
from tests.bench.measuring import interleaved
from tests.bench.page_server import HISTOGRAM, VERSIONS, address, pages
from tests.bench.row import Row
from tests.fake_clients import TASK_MANAGER, FakeClients, FakePod

PODS = 10
PASSES = 12
APPLICATION = replace(TASK_MANAGER, histogram=HISTOGRAM, ignore_routes=())
LIMITS = Limits(timedelta(seconds=60), timedelta(seconds=10), 4_000_000, 50_000, 50_000)

Sums = Counter[tuple[str, str]]
"""By route and what is counted: `count`, `failed`, or a bucket's bound."""


def measure() -> Iterable[Row]:
    """Read one page in both ways, then scrape ten pods over HTTP."""
    found = pages()
    lines = found[0].count(b"\n")
    own, client = interleaved(lambda: _read(found[1]), lambda: _parse(found[1]))
    yield Row(
        f"page of {lines:,} lines, known, read: CPU",
        own,
        "ms",
        goal="G9",
        peer=client,
        peer_name="client parser",
        at_most=1 / 30,
    )
    per_pod, sums = asyncio.run(_scrape())
    yield Row(
        "the same pod fetched, read and merged, every counter grown: CPU",
        per_pod,
        "ms",
        goal="G9",
        at_most=8,
    )
    expected = _expected(found)
    differing = {key for key in sums.keys() | expected.keys() if sums[key] != expected[key]}
    yield Row(
        f"of {len(expected):,} sums over {PODS} pods and {PASSES} passes, those that differ",
        len(differing),
        "sums",
        goal="G9",
        at_most=0,
    )


_classifier = Classifier(APPLICATION)
_reader: PageReader[Target] = PageReader(_classifier.prefixes, _classifier)


def _read(page: bytes) -> None:
    read = _reader.blank()
    _reader.read(page.split(b"\n"), read)
    _reader.finish(read)


def _parse(page: bytes) -> None:
    for family in text_string_to_metric_families(page.decode()):
        for _ in family.samples:
            pass


async def _scrape() -> tuple[float, Sums]:
    """Return the median CPU milliseconds of a pod, and what was counted of all."""
    clients = FakeClients([APPLICATION])
    clients.http = http = HttpClient()  # type: ignore[assignment]  # the one real part
    clients.pods.pods = [FakePod(f"pod-{pod}", address(pod)) for pod in range(PODS)]
    with tempfile.TemporaryDirectory() as folder:
        async with await _server(Path(folder)):
            application = replace(APPLICATION, port=int((Path(folder) / "port").read_text()))
            scraping = Scraping(application, LIMITS, timedelta(minutes=1), clients)
            taken = []
            for _ in range(PASSES):
                clients.clock.advance(15)
                began = process_time()
                await scraping.run()
                taken.append((process_time() - began) * 1000 / PODS)
        await http.close()
    [group] = scraping.groups.values()
    sums = Sums()
    for route, (answered, failed) in group.total.requests.items():
        sums[route, "count"], sums[route, "failed"] = int(answered), int(failed)
    for le, count in group.total.buckets:
        sums["", str(le)] = int(count)
    return median(taken[1:]), sums


async def _server(folder: Path) -> Process:
    async def ready() -> bool:
        return (folder / "port").exists()

    argv = [sys.executable, "-m", "tests.bench.page_server", str(folder), "--pods", str(PODS)]
    return await Process.start(argv, log=folder / "log", name="page server", ready=ready)


def _expected(found: list[bytes]) -> Sums:
    """Add up the pages as the client parser reads them: the first one is the baseline.

    After the last version a pod begins anew, and counts whole.
    """
    totals = [_totals(page) for page in found]
    expected: Counter[tuple[str, str]] = Counter()
    for turn in range(1, PASSES):
        now = totals[turn % VERSIONS]
        before = totals[turn % VERSIONS - 1] if turn % VERSIONS else Counter()
        for key, value in now.items():
            expected[key] += (value - before[key]) * PODS
    return expected


def _totals(page: bytes) -> Sums:
    totals = Sums()
    for family in text_string_to_metric_families(page.decode()):
        for sample in family.samples:
            labels, value = sample.labels, int(sample.value)
            if sample.name == f"{HISTOGRAM}_count":
                totals[labels["route"], "count"] += value
                totals[labels["route"], "failed"] += value * (labels["status"] == "500")
            elif sample.name == f"{HISTOGRAM}_bucket":
                totals["", str(float(labels["le"]))] += value
    return totals
