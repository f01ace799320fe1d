import io
import json
import logging

import pytest
from typing_extensions import override

from exporter.shared.log import clean, get_log, set_up_log


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


def test_off_a_terminal_each_line_is_json_with_time_level_and_name() -> None:
    stream = io.StringIO()
    set_up_log(stream=stream)
    get_log("exporter.schedule").info("source failed", source="main", seconds=1.5)
    line = json.loads(stream.getvalue())
    assert line["event"] == "source failed"
    assert (line["level"], line["logger"], line["seconds"]) == ("info", "exporter.schedule", 1.5)
    assert line["timestamp"].endswith("Z")


def test_on_a_terminal_lines_are_for_people() -> None:
    stream = Terminal()
    set_up_log(stream=stream)
    get_log("x").info("hello")
    assert "hello" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_no_secret_reaches_the_log_wherever_it_hides() -> None:
    stream = io.StringIO()
    set_up_log(stream=stream)
    get_log("x").warning(
        "cannot connect to postgresql://web:hunter2@db/x",
        api_token="hunter2",  # noqa: S106 - the secret that must not appear
        headers={"Authorization": "Bearer hunter2", "Accept": "text"},
        urls=["http://u:hunter2@host"],
    )
    assert "hunter2" not in stream.getvalue()
    assert "db/x" in stream.getvalue()
    assert "text" in stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_secret_in_an_error_is_blanked_too(stream: io.StringIO) -> None:
    set_up_log(stream=stream)
    error = ValueError("postgresql://web:hunter2@db")
    get_log("x").error("failed", exc_info=error)
    assert "ValueError" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_what_libraries_log_comes_out_the_same_way() -> None:
    stream = io.StringIO()
    set_up_log("warning", stream)
    logging.getLogger("aiohttp.server").warning("odd %s", "request")
    logging.getLogger("aiohttp.server").info("not shown")
    assert json.loads(stream.getvalue())["event"] == "odd request"


def test_an_environment_in_a_kubernetes_object_keeps_its_names_and_loses_its_secrets() -> None:
    found = clean(
        {
            "env": [
                {"name": "DB_PASSWORD", "value": "hunter2"},
                {"name": "DATABASE_URL", "value": "postgresql://app:hunter2@db/tasks"},
                {"name": "PORT", "value": "8000"},
            ]
        }
    )
    assert found == {
        "env": [
            {"name": "DB_PASSWORD", "value": "[redacted]"},
            {"name": "DATABASE_URL", "value": "postgresql://app:[redacted]@db/tasks"},
            {"name": "PORT", "value": "8000"},
        ]
    }
