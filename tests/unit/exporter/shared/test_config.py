from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from exporter.shared.config import (
    ConfigError,
    Document,
    Duration,
    Section,
    format_duration,
    load_settings,
    load_yaml,
    parse_duration,
    problem,
    read_yaml,
    validate,
)


class Postgres(Section):
    interval: Duration = timedelta(seconds=15)
    level: Literal["low", "high"] = "low"
    databases: tuple[str, ...] = ()


class Collectors(Section):
    postgres: Postgres | None = None


class Settings(Section):
    port: int = Field(default=1, le=65535)
    secure: bool = False
    collectors: Collectors = Collectors()
    targets: dict[str, float] = Field(default_factory=dict)
    rows: list[Postgres] = Field(default_factory=list)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        validate(Settings, read_yaml(text, file="f.yaml"))
    return [str(each) for each in error.value.problems]


def from_environment(environ: Mapping[str, str], path: Path | None = None) -> Settings:
    return load_settings(Settings, path, prefix="EXPORTER__", environ=environ)


def environment_problems(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        from_environment(environ)
    return [str(each) for each in error.value.problems]


def test_a_misspelt_key_is_answered_with_its_place_and_the_nearest_setting() -> None:
    assert problems("port: 2\ncollectors:\n  postgres:\n    intervall: 5s\n") == [
        'f.yaml:4:5: collectors.postgres.intervall is not a setting; did you mean "interval"?'
    ]


def test_a_key_like_no_other_is_answered_with_the_keys_there_are() -> None:
    assert problems("collectors: {zzz: 1}") == [
        "f.yaml:1:14: collectors.zzz is not a setting; known here: postgres"
    ]


def test_every_mistake_is_told_at_once_each_at_its_value() -> None:
    text = "port: 70000\nrows:\n - level: hig\n   interval: soon\n"
    assert problems(text) == [
        "f.yaml:1:7: port should be less than or equal to 65535",
        'f.yaml:3:11: rows[0].level: "hig" is not one of low, high; did you mean "high"?',
        "f.yaml:4:14: rows[0].interval: 'soon' is not a duration; write it as 90s, 5m or 1h30m",
    ]


def test_a_mistake_in_a_list_names_its_item() -> None:
    assert problems("rows:\n  - {level: low}\n  - {leve: low}\n") == [
        'f.yaml:3:6: rows[1].leve is not a setting; did you mean "level"?'
    ]


def test_a_missing_setting_is_told_where_it_belongs() -> None:
    class Named(Section):
        name: str

    class Names(Section):
        all: list[Named]

    with pytest.raises(ConfigError, match=r"f\.yaml:2:5: all\[0\]\.name is missing"):
        validate(Names, read_yaml("all:\n  - {}\n", file="f.yaml"))


def test_a_part_of_a_document_is_validated_with_places_of_the_whole() -> None:
    document = read_yaml("a:\n  b: {intervall: 3s}\n", file="f.yaml")
    with pytest.raises(ConfigError, match=r"f\.yaml:2:7: a\.b\.intervall is not a parameter"):
        validate(Postgres, document, path=("a", "b"), noun="parameter")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", 'f.yaml:3:1: "a" is there twice, first in line 1'),
        ("a:\n\tb: 1\n", "f.yaml:2:1: a tab stands where only spaces may"),
        ("- a\n", "f.yaml:1:1: a mapping"),
        ("a: [1\n", "f.yaml:2:1: not YAML"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: not YAML"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: the tag"),
        ("a: &x [*x]\n", "f.yaml:1:4: this alias contains itself"),
        ("[a, b]: 1\n", "f.yaml:1:1: a key must be plain text"),
        ("a: \x01\n", "f.yaml:1:1: it holds a character"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_yaml(text, file="f.yaml")
    assert str(error.value).startswith(expected)


def test_plain_words_and_clock_times_stay_text() -> None:
    text = "{a: no, on: 12:30, b: 0x10, c: 1.5, d: ~, e: .inf, f: 2024-01-01, g: true, h: 5.., i: }"
    assert read_yaml(text, file="f").root == {
        "a": "no", "on": "12:30", "b": 16, "c": 1.5, "d": None, "e": float("inf"),
        "f": "2024-01-01", "g": True, "h": "5..", "i": None,
    }  # fmt: skip


def test_a_file_that_cannot_be_read_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_yaml(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_yaml(tmp_path / "latin.yaml")


def test_an_empty_file_means_the_defaults() -> None:
    assert validate(Settings, read_yaml("# nothing\n", file="f")) == Settings()


def test_a_problem_points_at_the_nearest_thing_that_is_there() -> None:
    document = read_yaml("a:\n  - b: 1\n", file="f")
    assert str(problem(document, ("a", 0, "c"), "gone")) == "f:2:5: gone"
    assert document.position(("a", 0, "b"), key=True) == (2, 5)
    assert document.position(("a", 0, "b")) == (2, 8)


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("port: 5\ncollectors: {postgres: {level: high}}\n")
    environ = {
        "EXPORTER__PORT": "6",
        "EXPORTER__COLLECTORS__POSTGRES__INTERVAL": "7s",
        "EXPORTER__COLLECTORS__POSTGRES__DATABASES": '["a", "b"]',
        "EXPORTER__TARGETS__ERROR_RATIO": "0.02",
        "EXPORTER__SECURE": "true",
        "HOME": "/",
    }
    settings = from_environment(environ, path)
    expected = Postgres(interval=timedelta(seconds=7), level="high", databases=("a", "b"))
    assert settings.collectors.postgres == expected
    assert (settings.port, settings.secure, settings.targets) == (6, True, {"error_ratio": 0.02})


def test_a_misspelt_variable_is_refused_with_the_nearest_name() -> None:
    [text] = environment_problems({"EXPORTER__COLLECTORS__POSTGRES__INTERVALL": "1s"})
    assert text.startswith("EXPORTER__COLLECTORS__POSTGRES__INTERVALL: is not a setting;")
    assert text.endswith("did you mean EXPORTER__COLLECTORS__POSTGRES__INTERVAL?")
    assert environment_problems({"EXPORTER__PROT": "1"}) == [
        "EXPORTER__PROT: is not a setting; did you mean EXPORTER__PORT?"
    ]


def test_a_wrong_value_in_a_variable_names_the_variable() -> None:
    [text] = environment_problems({"EXPORTER__PORT": "many"})
    assert text.startswith("EXPORTER__PORT: port should be a valid integer")
    [text] = environment_problems({"EXPORTER__ROWS": "[oops"})
    assert text == "EXPORTER__ROWS: its value is not JSON"


@given(st.integers(0, 10**12).map(lambda ms: timedelta(milliseconds=ms)))
def test_durations_read_back_as_written(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["", "5", "1.5s", "s", "1m1h", "-1s", None, 5, True])
def test_what_prometheus_does_not_take_for_a_duration_neither_do_we(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_a_document_says_what_it_has() -> None:
    document = Document("f", {"a": [1]})
    assert document.has(("a", 0))
    assert not document.has(("a", 1))
    assert not document.has(("a", 0, "b"))
