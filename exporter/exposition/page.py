"""Pages: the rendered lines of up to 128 fragments of one metric family and one collector."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.exposition.deflate import Block, Blocks, Deflater

SLOTS = 128
"""Fragments per page: joining pages is near the cost of copying, and a change redoes one page."""

BLOCK_BYTES = 65_536
"""A page of long fragments is cut here, and what did not change in it is not deflated again. Most
pages are a third of it."""


class Page:
    """128 slots of rendered lines, and the blocks made of them last."""

    __slots__ = ("blocks", "slots")

    def __init__(self) -> None:
        self.slots = [b""] * SLOTS
        self.blocks: tuple[Block, ...] = ()

    def render(self, fragments: tuple[bytes, ...], deflater: Deflater) -> Iterator[None]:
        """Make blocks of what the slots held when they were read; pause after each."""
        runs = list(_runs(fragments))
        known = {block.fragments: block for block in self.blocks} if len(runs) > 1 else {}
        blocks = []
        for run in runs:
            blocks.append(known.get(run) or deflater.block(run))
            yield
        self.blocks = tuple(blocks)


class Section:
    """What one collector publishes of one family: pages made when a slot is first used."""

    __slots__ = ("pages", "rendered")

    def __init__(self) -> None:
        self.pages: dict[int, Page] = {}
        self.rendered = Blocks()
        """What the pages held when `join` was last called."""

    def get(self, slot: int) -> bytes:
        """Return the fragment in `slot`, empty when there is none."""
        page = self.pages.get(slot // SLOTS)
        return page.slots[slot % SLOTS] if page else b""

    def put(self, number: int, place: int, fragment: bytes) -> Page | None:
        """Replace the fragment at a place of a page; return the page, None if it is the same."""
        page = self.pages.get(number)
        if page is None:
            if not fragment:
                return None
            page = self.pages[number] = Page()
        if page.slots[place] == fragment:
            return None
        page.slots[place] = fragment
        return page

    def empty(self, slots: Mapping[int, Sequence[int]]) -> list[Page]:
        """Empty slots, told by page as `by_page` does; return the pages that changed."""
        changed = []
        for number, of_page in slots.items():
            page = self.pages.get(number)
            if page is not None and any(page.slots[place] for place in of_page):
                for place in of_page:
                    page.slots[place] = b""
                changed.append(page)
        return changed

    def join(self) -> None:
        """Put the pages' blocks in order; forget pages that are empty by now."""
        blocks: list[Block] = []
        for number in sorted(self.pages):
            page = self.pages[number]
            if page.blocks:
                blocks += page.blocks
            elif not any(page.slots):
                del self.pages[number]
        self.rendered = Blocks.of(blocks)


def by_page(slots: Iterable[int]) -> dict[int, list[int]]:
    """Return the number of each page with the places of those slots in it."""
    places: dict[int, list[int]] = {}
    for slot in slots:
        places.setdefault(slot // SLOTS, []).append(slot % SLOTS)
    return places


def _runs(fragments: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Cut fragments, without empty ones, into runs of about BLOCK_BYTES."""
    there = tuple(filter(None, fragments))
    if sum(map(len, there)) <= BLOCK_BYTES:
        if there:
            yield there
        return
    start, length = 0, 0
    for place, fragment in enumerate(there):
        if place > start and length + len(fragment) > BLOCK_BYTES:
            yield there[start:place]
            start, length = place, 0
        length += len(fragment)
    yield there[start:]
