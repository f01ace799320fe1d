"""What every command of the command line shares: the settings option, output, errors in a line."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich.console import Console

from exporter.shared.config import ConfigError, parse_duration
from exporter.shared.errors import RunbookdError

P = ParamSpec("P")

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

Config = Annotated[Path | None, typer.Option("--config", "-c", help="The settings file (YAML).")]


def duration(text: str) -> timedelta:
    """Read an option that is a Prometheus duration. Raises BadParameter."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Turn our own errors into one line each on stderr; a wrong configuration is wrong usage."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (RunbookdError, OSError) as error:
            err.print(str(error), style="red", markup=False)
            raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from error

    return wrapped
