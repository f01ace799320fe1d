"""A real Prometheus reads the exporter, as a process started by its own command."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.bed.process import Process, free_port, wait_until
from tests.bed.prometheus import Prometheus, Scrape, promtool

WITHIN = 10.0


class Exporter:
    """`kpi-exporter serve` with a probe of itself and a database that is away."""

    def __init__(self, root: Path) -> None:
        self.log = root / "exporter.log"
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        probe = {"name": "self", "workload": "web", "url": f"http://{self.address}/healthz"}
        away = {"name": "away", "dsn": "postgresql://web:hunter2@127.0.0.1:1/web"}
        document = {
            "listen": {"address": "127.0.0.1", "port": port},
            "collectors": {
                "http_probe": {"targets": [{**probe, "interval": "200ms", "timeout": "200ms"}]},
                "postgres": {"databases": [away], "interval": "200ms"},
            },
        }
        config = root / "exporter.yaml"
        config.write_text(yaml.safe_dump(document))
        self.argv = [sys.executable, "-m", "exporter", "serve", "--config", str(config)]
        self.process: Process

    async def get(self, path: str) -> tuple[int, str]:
        url = f"http://{self.address}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def ready(self) -> bool:
        try:
            return (await self.get("/readyz"))[0] == 200
        except aiohttp.ClientError:
            return False

    async def succeeds(self) -> bool:
        return "kpi_probe_success" in (await self.get("/metrics"))[1]


@pytest.fixture
async def exporter(tmp_path: Path) -> AsyncIterator[Exporter]:
    running = Exporter(tmp_path)
    running.process = await Process.start(
        running.argv, log=running.log, name="exporter", ready=running.ready
    )
    async with running.process:
        await wait_until(running.succeeds, WITHIN, "the probe has run")
        yield running


async def test_prometheus_scrapes_it_also_with_labels_of_its_own(
    exporter: Exporter, tmp_path: Path
) -> None:
    scrape = Scrape("exporter", exporter.address, labels={"namespace": "monitoring", "pod": "e-0"})
    async with Prometheus.start(tmp_path, scrapes=[scrape]) as prometheus:

        async def scraped() -> bool:
            return [value for _, value in await prometheus.query("up")] == [1.0]

        await wait_until(scraped, WITHIN, "up == 1")
        [(labels, _)] = await prometheus.query("kpi_probe_success")
        assert labels["namespace"] == "default"
        [target] = await prometheus.targets()
        assert (target.health, target.last_error) == ("up", "")


async def test_promtool_finds_nothing_to_say_about_the_page_and_no_series_is_there_twice(
    exporter: Exporter,
) -> None:
    _, page = await exporter.get("/metrics")
    checked = promtool("check", "metrics", stdin=page)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    series = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))


async def test_the_pages_tell_how_each_source_fares_and_hold_no_secret(exporter: Exporter) -> None:
    status, text = await exporter.get("/debug/collectors")
    records = {record["source"]: record for record in json.loads(text)["sources"]}
    assert status == 200
    assert records["self"]["up"] is True
    assert records["self"]["series"] > 0
    assert json.loads((await exporter.get("/debug/events"))[1]) == {"events": []}
    _, page = await exporter.get("/metrics")
    assert 'kpi_postgres_up{database="away"} 0.0' in page
    assert "hunter2" not in text + page + exporter.log.read_text()


async def test_sigterm_ends_it_well(exporter: Exporter) -> None:
    assert await exporter.process.stop() == 0
    assert "stopping" in exporter.log.read_text()
