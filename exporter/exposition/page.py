"""Pages: the rendered lines of up to 128 fragments of one metric family and one collector."""

from collections.abc import Iterator

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

    def put(self, slot: int, fragment: bytes) -> Page | None:
        """Replace the fragment in `slot`; return the page that changed, None if it is the same."""
        number, place = divmod(slot, SLOTS)
        page = self.pages.get(number)
        if page is None:
            if not fragment:
                return None
            page = self.pages[number] = Page()
        if page.slots[place] == fragment:
            return None
        page.slots[place] = fragment
        return page

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


def _runs(fragments: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Cut fragments, without empty ones, into runs of about BLOCK_BYTES."""
    run: list[bytes] = []
    length = 0
    for fragment in fragments:
        if run and length + len(fragment) > BLOCK_BYTES:
            yield tuple(run)
            run, length = [], 0
        if fragment:
            run.append(fragment)
            length += len(fragment)
    if run:
        yield tuple(run)
