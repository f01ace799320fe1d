"""What a scrape gets: an immutable snapshot of everything that is published."""

from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Document:
    """Rendered chunks, in the order in which the families were declared.

    Later changes make a new document, so that a slow reader sees one state from end to end.
    """

    chunks: tuple[bytes, ...] = ()

    def text(self) -> bytes:
        """Return the page in Prometheus' text format 0.0.4."""
        return b"".join(self.chunks)
