"""The fragment store: what sources published, rendered when it changed, ready for a scrape.

Order of the exposition: families as declared; in a family, fragments by slot. A key gets the lowest
slot that is free when it first appears, and keeps it until it is deleted.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.contract import Metric, Sample
from exporter.exposition import lines
from exporter.exposition.document import Document
from exporter.exposition.page import PagedFamily


@dataclass(slots=True, eq=False)
class _Entry:
    """What one key of one source has published."""

    source: "Fragments"
    slot: int
    generation: int = 0
    label_sets: tuple[int, ...] = ()
    """Label set of each line, family by family as the source declared them."""


class _Line(NamedTuple):
    family: str
    label_set: int
    """Hash of metric and label values; a histogram's lines share it. 64 bits of siphash: two of a
    million sets collide in one of 37 million processes."""
    text: bytes


class FragmentStore:
    """All families, their owners, and the series budget."""

    def __init__(self, families: Sequence[Metric], *, max_series: int) -> None:
        """`max_series` bounds all sources together. Raises ValueError when a name is twice."""
        self.max_series = max_series
        self.series = 0
        """Lines that count against the budget."""
        self.families = {metric.name: PagedFamily(lines.header(metric)) for metric in families}
        if len(self.families) != len(families):
            raise ValueError("two metrics have one name")
        self.owners: dict[int, _Entry] = {}
        self._free: list[int] = []
        self._slots = 0
        self._document: Document | None = None

    def open(self, metrics: Iterable[Metric], *, budgeted: bool = True) -> "Fragments":
        """Return a place for a source that publishes `metrics`, which must be declared."""
        return Fragments(self, tuple(metric.name for metric in metrics), budgeted=budgeted)

    def document(self) -> Document:
        """Return what is published now; the same object until something changes."""
        if self._document is None:
            chunks = [chunk for family in self.families.values() for chunk in family.chunks()]
            self._document = Document(tuple(chunks))
        return self._document

    def write(self, family: str, slot: int, fragment: bytes) -> None:
        """Put a fragment into its slot; documents handed out before do not change."""
        if self.families[family].put(slot, fragment):
            self._document = None

    def take_slot(self) -> int:
        """Return the lowest free slot."""
        if self._free:
            return heapq.heappop(self._free)
        self._slots += 1
        return self._slots - 1

    def free_slot(self, slot: int) -> None:
        """Take a slot back."""
        heapq.heappush(self._free, slot)


@dataclass(slots=True, eq=False)
class Fragments:
    """What one source has published, key by key."""

    store: FragmentStore
    metrics: tuple[str, ...]
    budgeted: bool = True
    series: int = 0
    """Lines published now."""
    dropped: int = 0
    """Lines left out because the budget was used up, counted each time."""
    duplicates: int = 0
    """Lines left out because another source (or the same key before) publishes their series."""
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _generation: int = 0

    def put(self, key: str, samples: Iterable[Sample]) -> None:
        """Replace what is published under `key`.

        A label set that another key of the same source published moves to this one: an object that
        was made anew is told under its new key before the old one is dropped. Raises ValueError,
        with nothing changed, when a sample does not fit a metric of this source.
        """
        rendered = self._render(samples)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(self, self.store.take_slot())
        entry.generation = self._generation
        self._publish(entry, self._admit(entry, self._move(entry, rendered)))

    def delete(self, key: str) -> None:
        """Drop what is published under `key`; an unknown key is fine."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._publish(entry, [])
            self.store.free_slot(entry.slot)

    def begin(self) -> None:
        """Start a generation: keys not put again until `sweep` go then, none before."""
        self._generation += 1

    def sweep(self) -> None:
        """Drop every key that was not put since `begin`."""
        for key, entry in list(self._entries.items()):
            if entry.generation < self._generation:
                self.delete(key)

    def clear(self) -> None:
        """Drop everything."""
        for key in list(self._entries):
            self.delete(key)

    def _render(self, samples: Iterable[Sample]) -> list[_Line]:
        rendered: dict[str, _Line] = {}
        for sample in samples:
            name = sample.metric.name
            if name not in self.metrics:
                raise ValueError(f"{name} is not declared by this source")
            series = lines.series(sample)
            if series in rendered:
                self.duplicates += 1
                continue
            text = lines.line(series, sample.value)
            rendered[series] = _Line(name, hash((name, sample.labels)), text)
        return list(rendered.values())

    def _move(self, entry: _Entry, rendered: list[_Line]) -> list[_Line]:
        """Take label sets over from older keys of this source; leave other sources theirs."""
        owners = self.store.owners
        taken: dict[_Entry, set[int]] = {}
        foreign: set[int] = set()
        for line in rendered:
            owner = owners.get(line.label_set, entry)
            if owner.source is not self:
                foreign.add(line.label_set)
            elif owner is not entry:
                taken.setdefault(owner, set()).add(line.label_set)
        for owner, label_sets in taken.items():
            kept = [line for line in self._published(owner) if line.label_set not in label_sets]
            self._publish(owner, kept)
        if foreign:
            self.duplicates += sum(line.label_set in foreign for line in rendered)
        return [line for line in rendered if line.label_set not in foreign]

    def _admit(self, entry: _Entry, rendered: list[_Line]) -> list[_Line]:
        """Drop the label sets that are new where the budget has no room for all of them."""
        room = self.store.max_series - self.store.series + len(entry.label_sets)
        if not self.budgeted or len(rendered) <= room:
            return rendered
        sizes: dict[int, int] = {}
        for line in rendered:
            sizes[line.label_set] = sizes.get(line.label_set, 0) + 1
        admitted: set[int] = set()
        known = set(entry.label_sets)
        for label_set in sorted(sizes, key=lambda one: one not in known):  # stable: known first
            if sizes[label_set] <= room:
                admitted.add(label_set)
                room -= sizes[label_set]
        kept = [line for line in rendered if line.label_set in admitted]
        self.dropped += len(rendered) - len(kept)
        return kept

    def _published(self, entry: _Entry) -> list[_Line]:
        """Read back the lines of an entry."""
        found: list[_Line] = []
        for name in self.metrics:
            for text in self.store.families[name].get(entry.slot).split(b"\n")[:-1]:
                found.append(_Line(name, entry.label_sets[len(found)], text + b"\n"))
        return found

    def _publish(self, entry: _Entry, rendered: list[_Line]) -> None:
        """Write the lines, family by family, and keep the books."""
        by_family: dict[str, list[_Line]] = {}
        for line in rendered:
            by_family.setdefault(line.family, []).append(line)
        ordered: list[int] = []
        for name in self.metrics:
            of_family = by_family.get(name, [])
            self.store.write(name, entry.slot, b"".join(line.text for line in of_family))
            ordered += (line.label_set for line in of_family)
        owners = self.store.owners
        for label_set in entry.label_sets:
            if owners.get(label_set) is entry:
                del owners[label_set]
        owners.update(dict.fromkeys(ordered, entry))
        change = len(ordered) - len(entry.label_sets)
        self.series += change
        if self.budgeted:
            self.store.series += change
        entry.label_sets = tuple(ordered)
