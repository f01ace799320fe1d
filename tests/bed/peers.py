"""The exporters that others run in our place: Debian's postgres_exporter and blackbox_exporter."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from tests.bed.process import program
from tests.bed.web_program import HOST, WebProgram

Series: TypeAlias = tuple[str, frozenset[tuple[str, str]]]
"""Name and labels."""


def series(name: str, **labels: str) -> Series:
    """Return the key of a series in `values`."""
    return name, frozenset(labels.items())


def values(page: str) -> dict[Series, float]:
    """Return every series of a page in the text format."""
    return {
        series(sample.name, **sample.labels): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


class PostgresExporter(WebProgram):
    """A postgres_exporter that asks one server, with each scrape anew."""

    READY: ClassVar = "/"

    @classmethod
    def start(cls, root: Path, dsn: str) -> Self:
        """Return an exporter to enter; its log is `root/postgres_exporter.log`."""
        name = "prometheus-postgres-exporter"

        def argv(port: int) -> list[str]:
            return [program(name, package=name), f"--web.listen-address={HOST}:{port}"]

        env = {"DATA_SOURCE_NAME": f"{dsn}?sslmode=disable"}
        return cls(name, argv, root / "postgres_exporter.log", env=env)

    async def scrape(self) -> str:
        """Return the page of a scrape."""
        async with self.session.get("/metrics") as answer:
            return await answer.text()


class BlackboxExporter(WebProgram):
    """A blackbox_exporter with modules of one's own."""

    READY: ClassVar = "/-/healthy"

    @classmethod
    def start(cls, root: Path, modules: Mapping[str, object]) -> Self:
        """Return an exporter to enter; its log is `root/blackbox_exporter.log`."""
        name = "prometheus-blackbox-exporter"
        config = root / "blackbox_exporter.yml"
        config.write_text(json.dumps({"modules": modules}))  # which is YAML, too

        def argv(port: int) -> list[str]:
            listen = f"--web.listen-address={HOST}:{port}"
            return [program(name, package=name), listen, f"--config.file={config}"]

        return cls(name, argv, root / "blackbox_exporter.log")

    async def probe(self, target: str, module: str) -> str:
        """Return the page of a probe."""
        asked = {"target": target, "module": module}
        async with self.session.get("/probe", params=asked) as answer:
            return await answer.text()
