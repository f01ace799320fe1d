"""`kpi-exporter config`: what may stand in the settings file, and whether one is right."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from exporter import app as composition
from exporter.commands.example import example
from exporter.shared.config import ConfigError
from exporter.terminal import told

config = typer.Typer(help="The settings file.", no_args_is_help=True)

SCHEMA = "https://json-schema.org/draft/2020-12/schema"


@config.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="The settings file (YAML).")],
) -> None:
    """Read a settings file as `serve` would: 0 fine, 1 one line for each problem, 2 wrong usage."""
    try:
        composition.read_settings(file, os.environ, composition.collectors())
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem))
        raise typer.Exit(1) from error
    typer.echo(f"{file}: fine")


@config.command("schema")
@told
def schema() -> None:
    """Print the JSON Schema of the settings file, for editors and checks.

    An editor reads it where the file begins with `# yaml-language-server: $schema=FILE`.
    """
    typer.echo(json.dumps(schema_of(composition.collectors()), indent=2))


def schema_of(specs: composition.Specs) -> dict[str, object]:
    """Return the JSON Schema of the settings."""
    found = composition.model(specs).model_json_schema()
    properties = found["properties"]
    # `collectors:` with nothing below, as a file has it whose collectors are all switched off.
    properties["collectors"] = {"anyOf": [properties["collectors"], {"type": "null"}]}
    return {"$schema": SCHEMA, **found}


@config.command("example")
@told
def print_example() -> None:
    """Print a settings file with everything that can be set, explained, and its defaults."""
    typer.echo(example(composition.collectors()), nl=False)
