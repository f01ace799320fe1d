"""/probe of a running exporter: as a person and as a Prometheus with blackbox's habits ask it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from tests.bed.process import Process, free_port, wait_until
from tests.bed.prometheus import Prometheus, Scrape, promtool
from tests.bed.web_server import web_server

WITHIN = 10.0
TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def hang(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def away(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/"})


@pytest.fixture
async def shop() -> AsyncIterator[int]:
    async with web_server({"/": hello, "/hang": hang, "/away": away}) as port:
        yield port


class Exporter:
    """`kpi-exporter serve` that may be asked for the shop and for one of two targets."""

    def __init__(self, root: Path, shop: int) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        url = f"http://127.0.0.1:{shop}/"
        document = {
            "listen": {"address": "127.0.0.1", "port": int(self.address.partition(":")[2])},
            "collectors": {
                "http_probe": {
                    "targets": [
                        {"name": "open", "workload": "shop", "url": url},
                        {"name": "shut", "workload": "shop", "url": url},
                    ],
                    "modules": {"follow": {"redirects": 3}, "bye": {"body_matches": ["bye"]}},
                    "on_demand": {
                        "targets": ["open"],
                        "hosts": [f"127.0.0.1:{shop}", "[::1]"],
                        "networks": ["127.0.0.0/8"],
                    },
                }
            },
        }
        self.config = root / "exporter.yaml"
        self.config.write_text(yaml.safe_dump(document))

    async def ready(self) -> bool:
        try:
            async with aiohttp.request("GET", f"http://{self.address}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def probe(
        self, headers: Mapping[str, str] | None = None, **params: str
    ) -> tuple[int, str]:
        url = f"http://{self.address}/probe"
        async with aiohttp.request("GET", url, params=params, headers=headers) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def exporter(tmp_path: Path, shop: int) -> AsyncIterator[Exporter]:
    running = Exporter(tmp_path, shop)
    argv = [sys.executable, "-m", "exporter", "serve", "--config", str(running.config)]
    process = await Process.start(
        argv, log=tmp_path / "exporter.log", name="exporter", ready=running.ready
    )
    async with process:
        yield running


async def test_a_page_is_one_that_promtool_finds_nothing_to_say_about(
    exporter: Exporter, shop: int
) -> None:
    for target in ("open", f"127.0.0.1:{shop}/", f"http://127.0.0.1:{shop}/nowhere"):
        status, page = await exporter.probe(target=target)
        assert status == 200
        assert f"probe_success {0.0 if 'nowhere' in target else 1.0}" in page
        checked = promtool("check", "metrics", stdin=page)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


async def test_what_is_not_allowed_is_not_asked(exporter: Exporter, shop: int) -> None:
    other = free_port()
    for target in ("shut", f"127.0.0.1:{other}", f"localhost:{shop}", "169.254.169.254"):
        status, text = await exporter.probe(target=target)
        assert (status, "on_demand" in text) == (403, True), target
    inside = await exporter.probe(target="[::1]:80")
    assert 'probe_failure_reason{reason="not_allowed"}' in inside[1], "the network is not listed"
    target = f"127.0.0.1:{shop}/away"
    status, text = await exporter.probe(target=target, module="follow", debug="true")
    assert 'probe_failure_reason{reason="not_allowed"} 1.0' in text
    assert "169.254.169.254 port 80 is not in the allow-list" in text


async def test_the_scrapes_time_bounds_the_probe(exporter: Exporter, shop: int) -> None:
    began = asyncio.get_running_loop().time()
    _, page = await exporter.probe({TIMEOUT: "0.4"}, target=f"127.0.0.1:{shop}/hang")
    assert asyncio.get_running_loop().time() - began < 3
    assert 'probe_failure_reason{reason="timeout"} 1.0' in page


async def test_a_prometheus_set_up_for_blackbox_exporter_reads_it(
    exporter: Exporter, shop: int, tmp_path: Path
) -> None:
    scrapes = [
        Scrape(
            f"probe-{module}",
            exporter.address,
            path="/probe",
            params={"target": [f"http://127.0.0.1:{shop}/"], "module": [module]},
        )
        for module in ("http_2xx", "bye")
    ]
    async with Prometheus.start(tmp_path, scrapes=scrapes) as prometheus:

        async def scraped() -> bool:
            found = await prometheus.query("sum by (job) (probe_success)")
            return {labels["job"]: value for labels, value in found} == {
                "probe-http_2xx": 1,
                "probe-bye": 0,
            }

        await wait_until(scraped, WITHIN, "both probes")
        failed = await prometheus.query("probe_failed_due_to_regex == 1")
        assert [labels["job"] for labels, _ in failed] == ["probe-bye"]
        assert {target.health for target in await prometheus.targets()} == {"up"}


async def test_without_the_collector_there_is_no_probe(tmp_path: Path, shop: int) -> None:
    running = Exporter(tmp_path, shop)
    document = yaml.safe_load(running.config.read_text())
    del document["collectors"]
    running.config.write_text(yaml.safe_dump(document))
    argv = [sys.executable, "-m", "exporter", "serve", "--config", str(running.config)]
    process = await Process.start(
        argv, log=tmp_path / "exporter.log", name="exporter", ready=running.ready
    )
    async with process:
        status, text = await running.probe(target="open")
    assert (status, text) == (404, "collector http_probe is not enabled\n")
