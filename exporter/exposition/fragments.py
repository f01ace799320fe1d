"""What each source has published, and how much of it: one label set, one owner, fair shares.

Each source may publish `max_series` divided by the number of sources, whatever the others do. What
is left of others' shares is taken by whoever comes first, until its owner claims it: then those
furthest above their share lose their newest label sets.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from exporter.contract import Sample
from exporter.exposition import lines
from exporter.exposition.page import SLOTS, Page, Section, by_page

AT_ONCE = 64
"""An offender loses a 64th of a share at least, so that it is not rewritten for each new object of
whoever claims theirs."""


class Places(Protocol):
    """Where keys get their slots."""

    def take(self) -> int:
        """Return the lowest free slot."""
        ...

    def free(self, slots: Iterable[int]) -> None:
        """Take slots back."""
        ...


@dataclass(slots=True, eq=False)
class Entry:
    """What one key of one source has published."""

    source: "Fragments"
    slot: int
    generation: int = 0
    families: tuple[str, ...] = ()
    label_sets: tuple[int, ...] = ()
    """Label set of each line, family by family."""


class Line(msgspec.Struct, gc=False):
    """A line of the exposition; a Struct, for millions are made and most are dropped at once."""

    family: str
    label_set: int
    """Hash of metric and label values; a histogram's lines share it. 64 bits of siphash: two of a
    million sets collide in one of 37 million processes."""
    text: bytes


class Ledger:
    """Whose each label set is, and who has published how much."""

    def __init__(self, max_series: int) -> None:
        self.max_series = max_series
        self.series = 0
        """Lines that count against the budget."""
        self.owners: dict[int, Entry] = {}
        """Label set → who publishes it, in the order in which they were admitted."""
        self.sources: list[Fragments] = []
        """Those that count against the budget."""

    @property
    def share(self) -> int:
        """Return how many lines each source may publish, whatever the others do."""
        return self.max_series // max(1, len(self.sources))

    def room(self, source: "Fragments", more: int) -> int:
        """Return how many lines more `source` may publish now; others may have to give way."""
        free = self.max_series - self.series
        entitled = min(more, self.share - source.series)
        if entitled > free:
            self._take_back(entitled - free)
            free = self.max_series - self.series
        return free

    def _take_back(self, count: int) -> None:
        """Let the largest sources give up `count` lines, but none of its share."""
        while count > 0:
            offender = max(self.sources, key=lambda source: source.series)
            excess = offender.series - self.share
            if excess <= 0:
                return
            at_once = max(count, self.share // AT_ONCE)
            count -= offender.give_up(min(at_once, excess))


@dataclass(slots=True, eq=False)
class Fragments:
    """What one source has published, key by key."""

    ledger: Ledger
    slots: Places
    sections: Mapping[str, Section]
    """Where its lines go, by family in their order."""
    changed: dict[Page, Section]
    """Told of every page that differs."""
    budgeted: bool = True
    series: int = 0
    """Lines published now."""
    dropped: int = 0
    """Lines left out because the budget was used up, counted each time."""
    duplicates: int = 0
    """Lines left out because another source (or the same key before) publishes their series."""
    _entries: dict[str, Entry] = field(default_factory=dict)
    _generation: int = 0
    _places: dict[str, int] = field(default_factory=dict)
    _shapes: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    _by_age: list[int] | None = None
    """Label sets, the newest last, some of them gone; known once some had to be given up."""

    def __post_init__(self) -> None:
        self._places.update((name, place) for place, name in enumerate(self.sections))
        if self.budgeted:
            self.ledger.sources.append(self)

    def put(self, key: str, samples: Iterable[Sample]) -> None:
        """Replace what is published under `key`.

        A label set that another key of the same source published moves to this one: an object that
        was made anew is told under its new key before the old one is dropped. Raises ValueError,
        with nothing changed, when a sample does not fit a metric of this source.
        """
        rendered = self._render(samples)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(self, self.slots.take())
        entry.generation = self._generation
        ordered = _label_sets(rendered)
        if ordered != entry.label_sets:
            if not self.ledger.owners.keys().isdisjoint(ordered):
                rendered = self._move(entry, rendered)
            rendered = self._admit(entry, rendered)
            ordered = _label_sets(rendered)
        self._publish(entry, rendered, ordered)

    def delete(self, key: str) -> None:
        """Drop what is published under `key`; an unknown key is fine."""
        if key in self._entries:
            self._drop([key])

    def begin(self) -> None:
        """Start a generation: keys not put again until `sweep` go then, none before."""
        self._generation += 1

    def sweep(self) -> None:
        """Drop every key that was not put since `begin`."""
        now = self._generation
        self._drop([key for key, entry in self._entries.items() if entry.generation < now])

    def clear(self) -> None:
        """Drop everything."""
        self._drop(list(self._entries))

    def close(self) -> None:
        """Drop everything and leave one's share to the others; safe twice."""
        self.clear()
        if self in self.ledger.sources:
            self.ledger.sources.remove(self)

    def give_up(self, count: int) -> int:
        """Drop the newest label sets, at least `count` lines of them; return how many lines."""
        owners = self.ledger.owners
        if self._by_age is None or len(self._by_age) > 2 * self.series:
            self._by_age = [label_set for label_set, e in owners.items() if e.source is self]
        taken: dict[Entry, set[int]] = {}
        sizes: dict[Entry, Counter[int]] = {}
        lost = 0
        while lost < count and self._by_age:
            label_set = self._by_age.pop()
            entry = owners.get(label_set)
            if entry is None or entry.source is not self:
                continue
            if label_set in taken.setdefault(entry, set()):
                continue
            taken[entry].add(label_set)
            if entry not in sizes:
                sizes[entry] = Counter(entry.label_sets)
            lost += sizes[entry][label_set]
        for entry, label_sets in taken.items():
            self._publish_without(entry, label_sets)
        self.dropped += lost
        return lost

    def _render(self, samples: Iterable[Sample]) -> list[Line]:
        """Return the lines, each series once, in the order of the families."""
        rendered: dict[object, Line] = {}
        write, places = lines.Writer().line, self._places
        last, in_order = 0, True
        for sample in samples:
            name = sample.metric.name
            place = places.get(name)
            if place is None:
                raise ValueError(f"{name} is not declared by this source")
            label_set = hash((name, sample.labels))
            series = (label_set, sample.suffix, sample.le) if sample.suffix else label_set
            if series in rendered:
                self.duplicates += 1
                continue
            rendered[series] = Line(name, label_set, write(sample))
            in_order = in_order and place >= last
            last = place
        found = list(rendered.values())
        return found if in_order else sorted(found, key=lambda line: places[line.family])

    def _move(self, entry: Entry, rendered: list[Line]) -> list[Line]:
        """Take label sets over from older keys of this source; leave other sources theirs."""
        owners = self.ledger.owners
        taken: dict[Entry, set[int]] = {}
        foreign: set[int] = set()
        for line in rendered:
            owner = owners.get(line.label_set, entry)
            if owner.source is not self:
                foreign.add(line.label_set)
            elif owner is not entry:
                taken.setdefault(owner, set()).add(line.label_set)
        for owner, label_sets in taken.items():
            self._publish_without(owner, label_sets)
        if foreign:
            self.duplicates += sum(line.label_set in foreign for line in rendered)
        return [line for line in rendered if line.label_set not in foreign]

    def _admit(self, entry: Entry, rendered: list[Line]) -> list[Line]:
        """Drop the label sets that are new where the budget has no room for all of them."""
        more = len(rendered) - len(entry.label_sets)
        if not self.budgeted or more <= 0:
            return rendered
        room = self.ledger.room(self, more) + len(entry.label_sets)
        if len(rendered) <= room:
            return rendered
        sizes = Counter(line.label_set for line in rendered)
        admitted: set[int] = set()
        known = set(entry.label_sets)
        for label_set in sorted(sizes, key=lambda one: one not in known):  # stable: known first
            if sizes[label_set] <= room:
                admitted.add(label_set)
                room -= sizes[label_set]
        kept = [line for line in rendered if line.label_set in admitted]
        self.dropped += len(rendered) - len(kept)
        return kept

    def _drop(self, keys: Sequence[str]) -> None:
        """Drop keys, family by family, for they may be all."""
        entries = [self._entries.pop(key) for key in keys]
        slots = [entry.slot for entry in entries]
        places = by_page(slots)
        for name in {name for entry in entries for name in entry.families}:
            section = self.sections[name]
            self.changed.update(dict.fromkeys(section.empty(places), section))
        for entry in entries:
            self._keep_books(entry, ())
        self.slots.free(slots)

    def _publish_without(self, entry: Entry, label_sets: set[int]) -> None:
        """Read back the lines of an entry and leave some of them out."""
        kept: list[Line] = []
        read = iter(entry.label_sets)
        for name in entry.families:
            for text in self.sections[name].get(entry.slot).split(b"\n")[:-1]:
                line = Line(name, next(read), text + b"\n")
                if line.label_set not in label_sets:
                    kept.append(line)
        self._publish(entry, kept, _label_sets(kept))

    def _publish(self, entry: Entry, rendered: list[Line], ordered: tuple[int, ...]) -> None:
        """Write the lines, family by family, and keep the books; `ordered` are their label sets."""
        texts: dict[str, list[bytes]] = {}
        for line in rendered:
            of_family = texts.get(line.family)
            if of_family is None:
                texts[line.family] = [line.text]
            else:
                of_family.append(line.text)
        shape = tuple(texts)
        if shape != entry.families:
            for name in entry.families:
                texts.setdefault(name, [])
        sections, changed = self.sections, self.changed
        number, place = divmod(entry.slot, SLOTS)
        for name, of_family in texts.items():
            section = sections[name]
            page = section.put(number, place, b"".join(of_family))
            if page is not None:
                changed[page] = section
        if ordered != entry.label_sets:
            self._keep_books(entry, ordered)
        entry.families = self._shapes.setdefault(shape, shape)

    def _keep_books(self, entry: Entry, ordered: tuple[int, ...]) -> None:
        owners = self.ledger.owners
        now = dict.fromkeys(ordered, entry)
        for label_set in entry.label_sets:
            if label_set not in now:
                owners.pop(label_set, None)
        if self._by_age is not None:
            self._by_age += now.keys() - entry.label_sets
        owners.update(now)
        change = len(ordered) - len(entry.label_sets)
        self.series += change
        if self.budgeted:
            self.ledger.series += change
        entry.label_sets = ordered


def _label_sets(rendered: list[Line]) -> tuple[int, ...]:
    return tuple([line.label_set for line in rendered])
