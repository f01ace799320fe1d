"""What every command of the command line shares: options, output, errors in one line."""

import json
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console
from rich.table import Table

from exporter.shared.errors import RunbookdError
from responder.domain.values import Json, JsonObject

P = ParamSpec("P")

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


class Output(StrEnum):
    """How answers are printed."""

    TABLE = "table"
    JSON = "json"


Config = Annotated[Path, typer.Option("--config", "-c", help="The settings file (YAML).")]
Url = Annotated[
    str,
    typer.Option("--url", envvar="ALERT_RESPONDER_URL", help="Address of a running responder."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", envvar="ALERT_RESPONDER_TOKEN_FILE", help="File that holds your token."
    ),
]
As = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for programs.")]
IncidentId = Annotated[str, typer.Argument(help="42 or INC-42.")]
URL = "http://127.0.0.1:9843"


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Turn our own errors into one line each on stderr and exit code 1."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RunbookdError as error:
            err.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from error

    return wrapped


def print_json(value: Json) -> None:
    """Print JSON as programs like it: two spaces, nothing else on stdout."""
    typer.echo(json.dumps(value, indent=2))


def print_table(columns: tuple[str, ...], rows: list[JsonObject]) -> None:
    """Print the named columns of JSON objects; null shows as nothing."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in columns))
    out.print(table)


def mapping(value: Json) -> JsonObject:
    """Return an answer that must be an object. Raises RunbookdError."""
    if not isinstance(value, dict):
        raise RunbookdError("the responder answered something that is no object")
    return value


def mappings(value: Json) -> list[JsonObject]:
    """Return an answer that is a list of objects."""
    return [mapping(item) for item in value] if isinstance(value, list) else []


def strings(value: Json) -> list[str]:
    """Return an answer that is a list of texts."""
    return [str(item) for item in value] if isinstance(value, list) else []
