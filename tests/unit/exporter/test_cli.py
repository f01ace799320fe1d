import pytest
from typer.testing import CliRunner

from exporter.cli import app


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


def test_serve_refuses_a_misspelt_variable(cli: CliRunner) -> None:
    result = cli.invoke(app, ["serve"], env={"EXPORTER__LISTEN__PROT": "1"})
    assert result.exit_code == 2
    assert "did you mean EXPORTER__LISTEN__PORT" in result.output


def test_collectors_are_listed_with_settings_and_metrics(cli: CliRunner) -> None:
    result = cli.invoke(app, ["collectors"])
    assert result.exit_code == 0
    for text in ("postgres", "statement_timeout", "kpi_postgres_up{database} (gauge)"):
        assert text in result.output
