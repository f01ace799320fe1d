"""What a scrape gets: an immutable snapshot of everything that is published."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from exporter.exposition.deflate import Blocks, Deflater, gzip_member
from exporter.exposition.lines import END_OF_OPENMETRICS


class Format(Enum):
    """A format of the exposition, by its content type; lines of samples are the same in both."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_ENDINGS = {
    Format.TEXT: Blocks(),
    Format.OPENMETRICS: Blocks.of([Deflater(fast=False).block((END_OF_OPENMETRICS,))]),
}


@dataclass(frozen=True, slots=True)
class Family:
    """One family with at least one sample."""

    headers: Mapping[Format, Blocks]
    sections: Mapping[str, Blocks]
    """What each collector publishes of it, in the order of the exposition."""


@dataclass(frozen=True, slots=True)
class Document:
    """All families, in the order in which they were declared.

    Later changes make a new document, so that a slow reader sees one state from end to end.
    """

    families: tuple[Family, ...] = ()

    def only(self, collectors: Collection[str]) -> "Document":
        """Return the document of these collectors alone."""
        families = []
        for family in self.families:
            sections = {name: each for name, each in family.sections.items() if name in collectors}
            if sections:
                families.append(Family(family.headers, sections))
        return Document(tuple(families))

    def text(self, format_: Format = Format.TEXT) -> bytes:
        """Return the whole page."""
        return b"".join(self.identity(format_))

    def length(self, format_: Format) -> int:
        """Return the bytes of the page, not compressed."""
        return sum(run.length for run in self._runs(format_))

    def identity(self, format_: Format) -> Iterator[bytes]:
        """Yield the page block by block; only the block at hand is joined."""
        for run in self._runs(format_):
            for block in run.blocks:
                yield block.text

    def gzip(self, format_: Format) -> list[bytes]:
        """Return the pieces of the page as one gzip member."""
        return list(gzip_member(self._runs(format_)))

    def _runs(self, format_: Format) -> Sequence[Blocks]:
        runs = []
        for family in self.families:
            runs.append(family.headers[format_])
            runs += family.sections.values()
        return [*runs, _ENDINGS[format_]]
