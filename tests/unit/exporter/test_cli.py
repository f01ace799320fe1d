import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web
from typer.testing import CliRunner

from exporter.cli import app
from exporter.shared.http import Server

PAGE = """kpi_source_up{collector="postgres",source="main"} 1
kpi_postgres_up{database="main"} 0
"""


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


def test_config_check_gives_one_line_for_each_mistake(cli: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("listen: {port: 99999}\ncollectors:\n  postgres: {intervall: 5s}\n")
    result = cli.invoke(app, ["config", "check", str(path)])
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.removeprefix(str(path)).partition(" ")[0] for line in lines] == [
        ":1:16:",
        ":3:14:",
    ]


def test_config_check_accepts_what_serve_would_accept(cli: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "right.yaml"
    path.write_text("collectors: {kubernetes: }\n")
    assert cli.invoke(app, ["config", "check", str(path)]).exit_code == 0
    assert cli.invoke(app, ["config", "check"]).exit_code == 2


def test_serve_refuses_a_misspelt_variable(cli: CliRunner) -> None:
    result = cli.invoke(app, ["serve"], env={"EXPORTER__LISTEN__PROT": "1"})
    assert result.exit_code == 2
    assert "did you mean EXPORTER__LISTEN__PORT" in result.output


def test_collectors_are_listed_with_settings_and_metrics(cli: CliRunner) -> None:
    result = cli.invoke(app, ["collectors"])
    assert result.exit_code == 0
    for text in ("postgres", "statement_timeout", "kpi_postgres_up{database} (gauge)"):
        assert text in result.output


@pytest.mark.parametrize("output", ["table", "json", "markdown"])
async def test_the_check_reads_a_running_exporter(cli: CliRunner, output: str) -> None:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    served = web.Application()
    served.router.add_get("/metrics", metrics)
    server = await Server.start(served, "127.0.0.1", 0)
    try:
        arguments = ["check", "--from", server.url, "--output", output]
        result = await asyncio.to_thread(cli.invoke, app, arguments)
    finally:
        await server.close()
    assert result.exit_code == 1
    assert "cannot be reached" in result.output
    if output == "json":
        [bad] = [each for each in json.loads(result.output) if each["mark"] == "✗"]
        assert (bad["section"], bad["subject"]) == ("Databases", "main")


def test_a_wrong_duration_is_wrong_usage(cli: CliRunner) -> None:
    assert cli.invoke(app, ["check", "--sample", "soon"]).exit_code == 2
