"""What the command line tells of settings and metrics, and one pass of one collector."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from exporter.app import collectors, families, read_settings
from exporter.cli import app
from exporter.shared.config import ConfigError
from tests.bed.process import free_port

HERE = Path(__file__).parents[3]
SWITCHED_OFF = re.compile(r"^#(?! \S)", re.MULTILINE)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner()


def printed(cli: CliRunner, *argv: str) -> str:
    result = cli.invoke(app, list(argv))
    assert result.exit_code == 0, result.output
    return result.stdout


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


def test_the_example_says_what_an_empty_file_says(cli: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(printed(cli, "config", "example"))
    (tmp_path / "empty.yaml").write_text("")
    specs = collectors()
    example, empty = (
        read_settings(tmp_path / name, {}, specs).model_dump()
        for name in ("example.yaml", "empty.yaml")
    )
    assert example == empty


def test_switched_on_the_example_knows_every_setting_and_no_other(
    cli: CliRunner, tmp_path: Path
) -> None:
    text = printed(cli, "config", "example")
    file = tmp_path / "example.yaml"
    file.write_text(SWITCHED_OFF.sub("", text))
    with pytest.raises(ConfigError) as error:  # `text` is not what each place wants
        read_settings(file, {}, collectors())
    assert [each for each in error.value.problems if "is not a setting" in each.message] == []
    for name, spec in collectors().items():
        assert f"\n#  {name}:\n" in text
        for field in spec.settings.model_fields:
            assert f"\n#    {field}:" in text, (name, field)


@cache
def schema() -> Draft202012Validator:
    found = json.loads(printed(CliRunner(), "config", "schema"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


RIGHT = (
    "collectors:",
    "applications: [{name: a, selector: 'app=x', port: 1, preset: micrometer}]",
    "collectors: {kubernetes: , http_probe: {targets: [{name: a, service: default/x}]}}",
    "collectors: {postgres: {enabled: false, interval: 1h30m}}",
)
WRONG = (
    "collectors: {postgres: {intervall: 1s}}",
    "collectors: {postgress: {}}",
    "applications: [{name: a, selector: {app: x}, port: 1}]",
    "log_level: loud",
)


@pytest.mark.parametrize("text", [*RIGHT, *WRONG])
def test_the_schema_accepts_what_serve_accepts_and_refuses_what_it_refuses(
    cli: CliRunner, tmp_path: Path, text: str
) -> None:
    (tmp_path / "s.yaml").write_text(text)
    checked = cli.invoke(app, ["config", "check", str(tmp_path / "s.yaml")])
    assert (checked.exit_code == 0) is (text in RIGHT)
    assert schema().is_valid(yaml.safe_load(text)) is (text in RIGHT)


def test_the_schema_accepts_what_is_shipped(cli: CliRunner) -> None:
    for text in (
        (HERE / "exporter" / "example.yaml").read_text(),
        printed(cli, "config", "example"),
    ):
        assert list(schema().iter_errors(yaml.safe_load(text))) == []


def test_every_metric_is_explained(cli: CliRunner) -> None:
    text = printed(cli, "metrics")
    for metric in families(collectors()):
        assert f"| `{metric.name}` |" in text


PROBES = """
collectors:
  http_probe:
    targets: [{{name: away, workload: web, url: "http://127.0.0.1:{port}/", timeout: 1s}}]
  postgres:
    databases: [{{name: odd, dsn_file: {path}/none}}]
"""


@pytest.fixture
def settings(tmp_path: Path) -> str:
    file = tmp_path / "exporter.yaml"
    file.write_text(PROBES.format(port=free_port(), path=tmp_path))
    return str(file)


def test_one_pass_prints_the_collectors_page_alone_and_how_each_source_fared(
    cli: CliRunner, settings: str
) -> None:
    result = cli.invoke(app, ["collect", "http_probe", "-c", settings])
    assert result.exit_code == 0, result.output
    found = {family.name for family in text_string_to_metric_families(result.stdout)}
    assert {"kpi_probe_success", "kpi_source_up"} <= found
    assert not any(name.startswith(("kpi_exporter", "kpi_postgres")) for name in found)
    assert "http_probe/away" in result.stderr
    assert "source works" in result.stderr


def test_a_pass_that_fails_says_why_and_ends_with_1(cli: CliRunner, settings: str) -> None:
    result = cli.invoke(app, ["collect", "postgres", "-c", settings])
    assert result.exit_code == 1
    assert 'kpi_source_up{collector="postgres",source="odd"} 0.0' in result.stdout
    assert "none" in result.stderr


def test_what_cannot_be_collected_is_told_with_the_next_step(cli: CliRunner, settings: str) -> None:
    for argv, told in (
        (["collect", "postgress", "-c", settings], 'did you mean "postgres"?'),
        (["collect", "sql_kpi", "-c", settings], "set up collectors.sql_kpi"),
        (["collect", "http_probe", "-c", settings, "--source", "awy"], 'did you mean "away"?'),
    ):
        result = cli.invoke(app, argv)
        assert (result.exit_code, told in result.stderr) == (1, True), result.stderr
    assert cli.invoke(app, ["collect", "helm", "--within", "soon"]).exit_code == 2
