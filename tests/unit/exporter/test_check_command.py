"""`kpi-exporter check --from`: what it reads, prints, sends, keeps and answers to the shell."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import encode_basic_auth, web
from typer.testing import CliRunner

from exporter.cli import app
from exporter.commands import delivery
from exporter.morning.finding import Finding, Mark
from exporter.morning.report import Report
from exporter.shared.clock import SystemClock
from exporter.shared.errors import PermanentError, TransientError
from exporter.shared.http import Server
from tests.bed.sinks import HttpSink

EVENT = {
    "at": "2026-03-02T06:59:00+00:00",
    "severity": "Warning",
    "namespace": "default",
    "object": "Pod/web-1",
    "reason": "BackOff",
    "message": "Back-off restarting [bold]it[/]",
    "count": 5,
}
SOON = timedelta(milliseconds=1)


class Ran(NamedTuple):
    exit_code: int
    output: str


@dataclass
class Exporter:
    """What a running exporter would serve."""

    url: str = ""
    path: str = "/metrics"
    login: tuple[str, str] | None = None
    page: str = (
        'kpi_source_up{collector="postgres",source="main"} 1\n'
        'kpi_source_up{collector="kubernetes",source="events"} 0\n'
        'kpi_postgres_up{database="main"} 0\n'
        'kpi_database_connections_ratio{database="main"} 0.5\n'
    )
    pages: dict[str, object] = field(
        default_factory=lambda: {
            "/debug/events": {"events": [EVENT]},
            "/debug/collectors": {
                "sources": [
                    {"collector": "kubernetes", "source": "events", "last_error": "forbidden"}
                ]
            },
        }
    )

    async def answer(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization")
        if self.login and given != encode_basic_auth(*self.login):
            return web.Response(status=401)
        if request.path == self.path:
            return web.Response(text=self.page)
        if request.path in self.pages:
            return web.json_response(self.pages[request.path])
        return web.Response(status=404)

    async def check(self, *arguments: str) -> Ran:
        """Run the command against this exporter."""
        given = ["check", "--from", self.url, *arguments]
        result = await asyncio.to_thread(CliRunner().invoke, app, given)
        return Ran(result.exit_code, result.output)


@pytest.fixture
async def exporter(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Exporter]:
    monkeypatch.setenv("COLUMNS", "200")
    served = Exporter()
    site = web.Application()
    site.router.add_get("/{path:.*}", served.answer)
    server = await Server.start(site, "127.0.0.1", 0)
    served.url = server.url
    yield served
    await server.close()


@pytest.mark.parametrize("output", ["table", "json", "markdown"])
async def test_the_check_reads_a_running_exporter(exporter: Exporter, output: str) -> None:
    result = await exporter.check("--output", output)
    assert result.exit_code == 1
    for text in ("cannot be reached", "Back-off restarting [bold]it[/]", "(forbidden)"):
        assert text in result.output
    if output == "json":
        findings = json.loads(result.output)["findings"]
        [bad] = [each for each in findings if each["mark"] == "✗"]
        assert (bad["section"], bad["subject"]) == ("Databases", "main")
        assert bad["step"]


async def test_an_exporter_without_the_pages_for_people_is_read_all_the_same(
    exporter: Exporter,
) -> None:
    exporter.pages.clear()
    result = await exporter.check()
    assert result.exit_code == 1
    assert "? the exporter does not show them" in result.output


@pytest.mark.parametrize(
    ("path", "debug"), [("/kpis", "/debug/"), ("/behind/metrics", "/behind/debug/")]
)
async def test_an_exporter_may_have_its_pages_elsewhere(
    exporter: Exporter, path: str, debug: str
) -> None:
    exporter.pages = {each.replace("/debug/", debug): it for each, it in exporter.pages.items()}
    exporter.url, exporter.path = exporter.url + path, path
    result = await exporter.check()
    assert "Back-off restarting" in result.output
    assert "main  cannot be reached" in result.output


async def test_an_exporter_may_ask_for_a_password(exporter: Exporter) -> None:
    exporter.login = ("kpi", "hunter2")
    refused = await exporter.check()
    assert "cannot be read: /metrics answers with status 401" in refused.output
    exporter.url = exporter.url.replace("//", "//kpi:hunter2@")
    let_in = await exporter.check()
    assert "Back-off restarting" in let_in.output
    assert "hunter2" not in let_in.output


async def test_exit_codes_tell_good_from_unknown(exporter: Exporter) -> None:
    exporter.page = (
        'kpi_source_up{collector="postgres",source="main"} 1\nkpi_postgres_up{database="main"} 1\n'
    )
    assert (await exporter.check()).exit_code == 0
    exporter.page += 'kpi_source_up{collector="helm",source="releases"} 0\n'
    assert (await exporter.check()).exit_code == 3
    assert (await exporter.check("--exit-zero")).exit_code == 0


@pytest.mark.parametrize("page", [None, "<html>log in</html>"])
async def test_an_exporter_that_cannot_be_read_is_the_finding_and_is_sent(
    exporter: Exporter, page: str | None, tmp_path: Path
) -> None:
    if page is None:
        exporter.url = "http://127.0.0.1:1"
    else:
        exporter.page = page
    file = tmp_path / "checks.jsonl"
    async with HttpSink.start() as sink:
        result = await exporter.check("--webhook", sink.url, "--history", str(file))
        assert len(sink.received) == 1
    assert result.exit_code == 1
    assert "Exporter\n  ✗ 127.0.0.1:" in result.output
    assert "cannot be read: " in result.output
    assert not file.exists()


async def test_a_report_is_posted_with_what_changed_since_the_last_one(
    exporter: Exporter, tmp_path: Path
) -> None:
    file = tmp_path / "checks.jsonl"
    async with HttpSink.start() as sink:
        secret = tmp_path / "url"
        secret.write_text(f"{sink.url}/services/hunter2\n")
        arguments = ("--webhook-file", str(secret), "--history", str(file))
        first = await exporter.check(*arguments)
        exporter.page = exporter.page.replace('kpi_postgres_up{database="main"} 0', "")
        exporter.page += 'kpi_postgres_up{database="main"} 1\n'
        exporter.page = exporter.page.replace("} 0.5", "} 0.25")
        second = await exporter.check(*arguments)
        received = [each.json for each in sink.received]
    assert [first.exit_code, second.exit_code] == [1, 3]
    assert len(file.read_text().splitlines()) == 2
    assert "gone ✗ Databases main: cannot be reached" in second.output
    assert "25.00 %, was 50.00 %" in second.output
    assert "hunter2" not in first.output + second.output
    [before, now] = received
    assert isinstance(before, dict)
    assert isinstance(now, dict)
    assert before["report"]["changes"] is None
    assert [gone["subject"] for gone in now["report"]["changes"]["gone"]] == ["main"]
    assert "gone ✗ Databases main" in now["text"]
    assert "gone ✗ Databases main" in now["markdown"]


async def test_a_report_that_was_not_delivered_is_told_and_not_kept(
    exporter: Exporter, tmp_path: Path
) -> None:
    file = tmp_path / "checks.jsonl"
    async with HttpSink.start() as sink:
        sink.answer(404)
        url = f"{sink.url}/services/hunter2"
        result = await exporter.check("--webhook", url, "--history", str(file), "--exit-zero")
    assert result.exit_code == 1
    assert "Databases" in result.output
    assert "the webhook at 127.0.0.1 answered 404" in result.output
    assert "hunter2" not in result.output
    assert not file.exists()


async def test_a_webhook_that_is_busy_is_asked_again_and_one_that_refuses_is_not() -> None:
    finding = Finding(Mark.BAD, "Pods", "default/web", "Failed")
    report = Report("prod", SystemClock().now(), [finding], [])
    async with HttpSink.start() as sink:
        sink.answers([503, 429])
        await delivery.send(sink.url, report, SystemClock(), wait=SOON)
        assert len(sink.received) == 3
        sink.answer(500)
        with pytest.raises(TransientError, match="answered 500"):
            await delivery.send(sink.url, report, SystemClock(), wait=SOON)
        assert len(sink.received) == 3 + delivery.TRIES
        sink.answer(403)
        with pytest.raises(PermanentError, match="answered 403"):
            await delivery.send(sink.url, report, SystemClock(), wait=SOON)
        assert len(sink.received) == 3 + delivery.TRIES + 1


async def test_a_file_that_is_no_history_is_left_alone(exporter: Exporter, tmp_path: Path) -> None:
    for content in (b"some notes\n", b"\xff\xfe"):
        file = tmp_path / "notes"
        file.write_bytes(content)
        result = await exporter.check("--history", str(file))
        assert result.exit_code == 1
        assert "name another file" in result.output
        assert file.read_bytes() == content


@pytest.mark.parametrize(("output", "between"), [("table", "───"), ("json", '{"about"')])
async def test_a_watch_looks_again_until_it_is_stopped_and_exits_as_its_last_look(
    exporter: Exporter, output: str, between: str
) -> None:
    arguments = ("--from", exporter.url, "--watch", "50ms", "--output", output)
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", "check", *arguments), stdout=asyncio.subprocess.PIPE
    )
    assert watching.stdout is not None
    shown = ""
    while shown.count(between) < 3:
        line = (await asyncio.wait_for(watching.stdout.readline(), 20)).decode()
        assert line
        shown += line if line.startswith(between) else ""
    watching.send_signal(signal.SIGINT)
    rest, _ = await asyncio.wait_for(watching.communicate(), 20)
    assert watching.returncode == 1
    assert b"\x1b" not in rest


@pytest.mark.parametrize(
    "arguments",
    [
        ("--sample", "soon"),
        ("--from", "localhost"),
        ("5s",),
        ("--watch", "0s"),
        ("--watch", "soon"),
        ("--watch", "--history", "x"),
        ("--watch", "--webhook", "http://127.0.0.1:1"),
        ("--webhook", "http://127.0.0.1:1", "--webhook-file", "x"),
        ("--webhook", "not an address"),
    ],
)
def test_what_does_not_fit_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["check", *arguments]).exit_code == 2


def test_help_teaches_by_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = CliRunner().invoke(app, ["check", "--help"]).output
    for text in ("$ kpi-exporter check --from http://127.0.0.1:9842 --watch 10s", "Exit code"):
        assert text in shown
