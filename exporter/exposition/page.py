"""A page: the rendered lines of up to 128 fragments of one metric family."""

SLOTS = 128
"""Fragments per page: joining pages is near the cost of copying, and a change redoes one page."""


class Page:
    """128 slots of rendered lines, and their join, made again only after a change."""

    __slots__ = ("_joined", "_slots")

    def __init__(self) -> None:
        self._slots = [b""] * SLOTS
        self._joined: bytes | None = b""

    def get(self, slot: int) -> bytes:
        """Return the fragment in `slot`, empty when there is none."""
        return self._slots[slot]

    def put(self, slot: int, fragment: bytes) -> bool:
        """Replace the fragment in `slot`; return False when it was the same already."""
        if self._slots[slot] == fragment:
            return False
        self._slots[slot] = fragment
        self._joined = None
        return True

    @property
    def body(self) -> bytes:
        """Return all fragments in the order of their slots."""
        if self._joined is None:
            self._joined = b"".join(self._slots)
        return self._joined


class PagedFamily:
    """One metric family: a header, and pages made when a slot of theirs is first used."""

    __slots__ = ("_header", "_pages")

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._pages: dict[int, Page] = {}

    def get(self, slot: int) -> bytes:
        """Return the fragment in `slot` of the family."""
        page = self._pages.get(slot // SLOTS)
        return page.get(slot % SLOTS) if page else b""

    def put(self, slot: int, fragment: bytes) -> bool:
        """Replace the fragment in `slot` of the family; return False when it was the same."""
        number = slot // SLOTS
        page = self._pages.get(number)
        if page is None:
            if not fragment:
                return False
            page = self._pages[number] = Page()
        return page.put(slot % SLOTS, fragment)

    def chunks(self) -> list[bytes]:
        """Return header and pages in order; nothing when the family has no sample."""
        bodies = [body for number in sorted(self._pages) if (body := self._pages[number].body)]
        return [self._header, *bodies] if bodies else []
