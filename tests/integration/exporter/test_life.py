"""The life of the process: flags, new settings while it runs, and an end that cuts nobody off."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.bed.process import Process, free_port, wait_until

WITHIN = 10.0


def probes(*names: str, port: int) -> dict[str, object]:
    """Probe the exporter itself, by several names."""
    url = f"http://127.0.0.1:{port}/healthz"
    target = {"url": url, "interval": "200ms", "timeout": "200ms"}
    targets = [{**target, "name": name, "workload": name} for name in names]
    return {"collectors": {"http_probe": {"targets": targets}}}


class Exporter:
    """`kpi-exporter serve` with a settings file that a test may write anew."""

    def __init__(self, root: Path) -> None:
        self.log = root / "exporter.log"
        self.config = root / "exporter.yaml"
        self.port = free_port()
        self.process: Process

    def write(self, *names: str, **more: object) -> None:
        self.config.write_text(yaml.safe_dump(probes(*names, port=self.port) | more))

    async def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        url = f"http://127.0.0.1:{port or self.port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def reload(self) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}/-/reload"
        async with aiohttp.ClientSession() as session, session.post(url) as answer:
            return answer.status, await answer.text()

    async def value(self, series: str) -> float | None:
        _, page = await self.get("/metrics")
        for line in page.splitlines():
            if line.startswith(series):
                return float(line.rpartition(" ")[2])
        return None

    async def until(self, series: str, holds: Callable[[float | None], bool]) -> None:
        async def asked() -> bool:
            return holds(await self.value(series))

        await wait_until(asked, WITHIN, f"{series} is as awaited")

    async def ready(self) -> bool:
        try:
            return (await self.get("/readyz"))[0] == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def started(
    root: Path, *flags: str, settings: Mapping[str, object] | None = None
) -> AsyncIterator[Exporter]:
    exporter = Exporter(root)
    exporter.write("one", "two", **(settings or {}))
    argv = [sys.executable, "-m", "exporter", "serve", "--config.file", str(exporter.config)]
    argv += [f"--web.listen-address=127.0.0.1:{exporter.port}", *flags]
    exporter.process = await Process.start(
        argv, log=exporter.log, name="exporter", ready=exporter.ready
    )
    async with exporter.process:
        yield exporter


ATTEMPTS = 'kpi_source_attempts_total{{collector="http_probe",source="{}"}}'.format
UP = 'kpi_source_up{{collector="http_probe",source="{}"}}'.format
SUCCESSFUL = "kpi_exporter_config_last_reload_successful"
SUCCEEDED = "kpi_exporter_config_last_reload_success_timestamp_seconds"


@pytest.mark.parametrize("way", ["signal", "http"])
async def test_a_new_probe_joins_and_the_others_go_on(tmp_path: Path, way: str) -> None:
    async with started(tmp_path, "--web.enable-lifecycle") as exporter:
        await exporter.until(ATTEMPTS("one"), lambda count: (count or 0) > 4)
        before = await exporter.value(ATTEMPTS("one")) or 0
        first = await exporter.value(SUCCEEDED)
        exporter.write("one", "three")
        if way == "signal":
            exporter.process.send(signal.SIGHUP)
        else:
            assert await exporter.reload() == (200, "")
        await exporter.until(UP("three"), lambda up: up == 1)
        assert (await exporter.value(ATTEMPTS("one")) or 0) >= before
        assert await exporter.value(ATTEMPTS("two")) is None
        assert 'probe="two"' not in (await exporter.get("/metrics"))[1]
        assert await exporter.value(SUCCESSFUL) == 1
        assert (await exporter.value(SUCCEEDED) or 0) > (first or 0)


async def test_bad_settings_are_told_and_the_ones_before_hold(tmp_path: Path) -> None:
    async with started(tmp_path, "--web.enable-lifecycle") as exporter:
        await exporter.until(UP("two"), lambda up: up == 1)
        exporter.write("one", "one")
        status, text = await exporter.reload()
        assert status == 500
        assert "one" in text
        exporter.write("one", listen={"port": 1})
        status, text = await exporter.reload()
        assert (status, "listen cannot change while the exporter runs" in text) == (500, True)
        exporter.config.write_text("collectors: {http_prob: {}}\n")
        status, text = await exporter.reload()
        assert 'did you mean "http_probe"?' in text
        assert await exporter.value(SUCCESSFUL) == 0
        assert await exporter.value(UP("two")) == 1
        assert "settings not followed" in exporter.log.read_text()
        exporter.write("one", "two")
        exporter.process.send(signal.SIGHUP)
        await exporter.until(SUCCESSFUL, lambda successful: successful == 1)


async def test_nobody_reloads_over_http_unless_that_is_enabled(tmp_path: Path) -> None:
    async with started(tmp_path) as exporter:
        status, text = await exporter.reload()
        assert (status, "--web.enable-lifecycle" in text) == (403, True)
        async with started(tmp_path, settings={"web": {"enable_lifecycle": True}}) as another:
            assert (await another.reload())[0] == 200


async def test_flags_win_over_the_file(tmp_path: Path) -> None:
    second = free_port()
    flags = (
        f"--web.listen-address=127.0.0.1:{second}",
        "--web.telemetry-path=/kpi",
        "--log.level=debug",
        "--log.format=logfmt",
    )
    settings = {"web": {"telemetry_path": "/other"}, "listen": {"port": 1}}
    async with started(tmp_path, *flags, settings=settings) as exporter:
        for port in (exporter.port, second):
            assert (await exporter.get("/kpi", port))[0] == 200
            assert (await exporter.get("/other", port))[0] == 404
            assert 'href="kpi"' in (await exporter.get("/", port))[1]
        log = exporter.log.read_text()
        assert "level=info logger=exporter.app event=listening" in log


async def test_a_web_configuration_file_guards_every_page(tmp_path: Path) -> None:
    web_file = tmp_path / "web.yml"
    web_file.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    async with started(tmp_path, f"--web.config.file={web_file}") as exporter:
        for path in ("/metrics", "/", "/none"):
            url = f"http://127.0.0.1:{exporter.port}{path}"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                assert answer.headers["X-Frame-Options"] == "deny"


async def test_who_reads_the_page_when_it_ends_gets_all_of_it(tmp_path: Path) -> None:
    async with started(tmp_path) as exporter:
        await exporter.until(UP("one"), lambda up: up == 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", exporter.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        exporter.process.send(signal.SIGTERM)
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
        assert len(await reader.readexactly(length)) == length
        writer.close()
        assert await exporter.process.wait(WITHIN) == 0
        with pytest.raises(OSError, match="refused"), socket.socket() as probe:
            probe.connect(("127.0.0.1", exporter.port))
