"""Cuts a stream of bytes into lines without ever holding more than one line's worth."""

from collections.abc import Iterator

CAP = 16 * 1024 * 1024
"""Bytes: etcd takes objects of 1.5 MiB by default, so ten times that is no object of ours."""


class LineSplitter:
    """Feed it chunks, get whole lines. A line over `cap` bytes is skipped and counted."""

    def __init__(self, cap: int = CAP) -> None:
        self._cap = cap
        self._pieces: list[bytes] = []
        self._size = 0
        self.skipped = 0
        """Lines that were over the cap."""

    @property
    def cut(self) -> bool:
        """True while the last line is not whole."""
        return self._size > 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that `chunk` completes, without their newlines; empty ones left out."""
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            self._hold(piece)
            if self._size > self._cap:
                self.skipped += 1
            elif self._size:
                yield b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
        self._hold(rest)

    def _hold(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._cap:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)
