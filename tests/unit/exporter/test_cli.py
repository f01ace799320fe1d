from pathlib import Path

import pytest
from typer.testing import CliRunner

from exporter.cli import app


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
