"""The fragment store: what sources published, rendered when it changed, ready for a scrape.

Order of the exposition: families as declared; in a family, collectors as they first published; of
a collector, fragments by slot. A key gets the lowest slot of its collector that is free when it
first appears, and keeps it until it is deleted.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.contract import Metric
from exporter.exposition import lines
from exporter.exposition.deflate import Blocks, Deflater
from exporter.exposition.document import Document, Family, Format
from exporter.exposition.fragments import Fragments, Ledger
from exporter.exposition.page import Page, Section


@dataclass(slots=True, eq=False)
class _Pages:
    """One family."""

    metric: Metric
    headers: Mapping[Format, Blocks]
    sections: dict[str, Section] = field(default_factory=dict)


class Slots:
    """The places of one collector's keys, the same in all families."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._used = 0

    def take(self) -> int:
        """Return the lowest free slot."""
        if self._free:
            return heapq.heappop(self._free)
        self._used += 1
        return self._used - 1

    def free(self, slots: Iterable[int]) -> None:
        """Take slots back."""
        for slot in slots:
            heapq.heappush(self._free, slot)


class FragmentStore:
    """All families, who owns which series, and what a scrape gets of them."""

    def __init__(
        self, families: Sequence[Metric], *, max_series: int, deflater: Deflater | None = None
    ) -> None:
        """`max_series` bounds all sources together.

        Raises ValueError when two families have one name, also in OpenMetrics alone.
        """
        self.ledger = Ledger(max_series)
        self._deflater = deflater or Deflater()
        self._families: dict[str, _Pages] = {}
        self.declare(families)
        self._slots: dict[str, Slots] = {}
        self._changed: dict[Page, Section] = {}
        self._document = Document()
        self._refresh: Iterator[None] | None = None

    @property
    def series(self) -> int:
        """Return the lines that count against the budget."""
        return self.ledger.series

    def declare(self, families: Sequence[Metric]) -> None:
        """Take families in after those that are there, with new headers where they changed.

        Raises ValueError, with nothing changed, when two have one name, also in OpenMetrics alone.
        """
        names = Counter(lines.openmetrics_name(metric) for metric in families)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"two metrics have one name, but for _total: {', '.join(twice)}")
        for metric in families:
            pages = self._families.get(metric.name)
            if pages is None:
                self._families[metric.name] = _Pages(metric, self._headers(metric))
            elif pages.metric != metric:
                pages.metric, pages.headers = metric, self._headers(metric)

    def open(
        self, metrics: Iterable[Metric], *, collector: str = "", budgeted: bool = True
    ) -> Fragments:
        """Return a place for a source of `collector` that publishes `metrics`, declared before.

        Whoever opened it closes it.
        """
        names = [metric.name for metric in metrics]
        sections = {
            name: self._families[name].sections.setdefault(collector, Section()) for name in names
        }
        slots = self._slots.setdefault(collector, Slots())
        return Fragments(self.ledger, slots, sections, self._changed, budgeted=budgeted)

    def document(self) -> Document:
        """Return what is published now; the same object until something changes.

        A refresh that is under way is brought to its end first.
        """
        while self._refresh is not None or self._changed:
            for _ in self.refresh():
                pass
        return self._document

    @property
    def latest(self) -> Document:
        """Return what the last refresh that came to its end left; old, but whole."""
        return self._document

    def refresh(self) -> Iterator[None]:
        """Render what changed up to now, and pause after every few hundred microseconds' work.

        Iterate to the end; what is put meanwhile waits for the next refresh. There is one refresh
        at a time: whoever asks while one is under way gets that one.
        """
        if self._refresh is None:
            self._refresh = self._steps()
        return self._refresh

    def _steps(self) -> Iterator[None]:
        waiting = deque(
            (page, section, tuple(page.slots)) for page, section in self._changed.items()
        )
        self._changed.clear()
        touched: dict[Section, None] = {}
        try:
            while waiting:
                page, section, fragments = waiting[0]
                yield from page.render(fragments, self._deflater)
                touched[section] = None
                waiting.popleft()
            for section in touched:
                section.join()
                yield
            if touched:
                self._document = Document(tuple(self._published()))
        finally:
            self._refresh = None
            self._changed.update((page, section) for page, section, _ in waiting)

    def _published(self) -> Iterator[Family]:
        for family in self._families.values():
            sections = {
                collector: section.rendered
                for collector, section in family.sections.items()
                if section.rendered.blocks
            }
            if sections:
                yield Family(family.headers, sections)

    def _headers(self, metric: Metric) -> Mapping[Format, Blocks]:
        text = {
            Format.TEXT: lines.header(metric),
            Format.OPENMETRICS: lines.openmetrics_header(metric),
        }
        return {kind: Blocks.of([self._deflater.block((text[kind],))]) for kind in text}
