"""Rows that real servers of each version gave, and what the parts make of them."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from exporter.collectors.postgres import Settings, parts
from exporter.contract import Collected
from exporter.postgres import server
from exporter.postgres.part import Facts, Part, Row
from tests.fake_clients import lines

DATA = Path(__file__).parent / "data" / "postgres_statistics.json"
RECORDED: Mapping[str, Mapping[str, list[dict[str, object]]]] = json.loads(DATA.read_text())
VERSIONS = [int(version) for version in RECORDED]


def value(recorded: object) -> object:
    """Return a recorded value as asyncpg gives it."""
    match recorded:
        case {"numeric": str(number)}:
            return Decimal(number)
        case {"interval": float(seconds) | int(seconds)}:
            return timedelta(seconds=seconds)
        case {"timestamptz": str(time)}:
            return datetime.fromisoformat(time)
        case _:
            return recorded


class Recorded:
    """What one server said."""

    def __init__(self, version: int) -> None:
        self.version = version

    def rows(self, part: str) -> list[Row]:
        """Return the rows of a part's query."""
        recorded = RECORDED[str(self.version)][part]
        return [{name: value(each) for name, each in row.items()} for row in recorded]

    @property
    def facts(self) -> Facts:
        """Return what the server is."""
        return self.facts_of(self.rows("facts")[0])

    @staticmethod
    def facts_of(row: Row) -> Facts:
        """Return what a server is that says so."""
        return server.facts(row)

    def read(self, part: Part, rows: Iterable[Row] | None = None) -> Collected:
        """Return what the part makes of the recorded rows, or of others."""
        return part.read("tasks", self.rows(part.name) if rows is None else list(rows), 0.0)

    def lines(self, name: str, settings: Settings | None = None) -> list[str]:
        """Return what the part of that name publishes, as text without its prefix and database."""
        return short(self.read(named(name, settings)))


def named(name: str, settings: Settings | None = None) -> Part:
    """Return a part by its name, new."""
    return next(part for part in parts(settings or Settings()) if part.name == name)


def short(collected: Collected) -> list[str]:
    """Write samples and readings without what all of them share."""
    text = [line.removeprefix("kpi_postgres_") for line in lines(collected)]
    return [
        line.replace('{database="tasks"}', "").replace('database="tasks",', "") for line in text
    ]
