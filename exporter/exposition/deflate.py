"""Deflates text block by block, once; blocks in any order make one gzip member (RFC 1951, 1952).

Each block is raw deflate ended by Z_FULL_FLUSH: at a byte's border, and without looking back at
what preceded it. One member, for `curl --compressed` reads no further than the first.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from exporter.exposition.checksum import combined, shift_of

try:
    from isal import isal_zlib
except ImportError:  # the extra `fast` is not installed
    isal_zlib = None  # type: ignore[assignment]  # a module, or none

_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
"""No name, no time, an unknown system: RFC 1952, section 2.3."""

_LAST_BLOCK = b"\x03\x00"
"""An empty block with fixed codes, marked as the last: RFC 1951, section 3.2.3."""

_LEVEL = 1
"""Level 1 of either: ISA-L's is as small as zlib's 6 at a twelfth of its cost; zlib's 1 is a third
of its 6 and a tenth larger."""


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self, mode: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Block:
    """A run of text, in the pieces it was made of, and deflated."""

    fragments: tuple[bytes, ...]
    deflated: bytes
    length: int
    """Bytes of text."""
    crc: int
    """CRC-32 of the text."""
    shift: int
    """checksum.shift_of the length."""

    @property
    def text(self) -> bytes:
        """Return the text; joined anew, for the pieces are kept elsewhere anyway."""
        return b"".join(self.fragments)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks in order, with the checksum of them all."""

    blocks: tuple[Block, ...] = ()
    length: int = 0
    crc: int = 0
    shift: int = shift_of(0)

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> "Blocks":
        """Put blocks together."""
        kept = tuple(blocks)
        crc = 0
        for block in kept:
            crc = combined(crc, block.crc, block.shift)
        length = sum(block.length for block in kept)
        return cls(kept, length, crc, shift_of(length))


class Deflater:
    """Makes blocks. Keeps one compressor, for a new one costs more than a page."""

    def __init__(self, *, fast: bool = isal_zlib is not None) -> None:
        """`fast` takes ISA-L (extra `fast`) rather than zlib."""
        library = isal_zlib if fast else zlib
        self._compressor: _Compressor = library.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc32 = library.crc32

    def block(self, fragments: tuple[bytes, ...]) -> Block:
        """Deflate the text of these fragments."""
        text = b"".join(fragments)
        deflated = self._compressor.compress(text) + self._compressor.flush(zlib.Z_FULL_FLUSH)
        return Block(fragments, deflated, len(text), self._crc32(text), shift_of(len(text)))


def gzip_member(runs: Sequence[Blocks]) -> Iterator[bytes]:
    """Yield the pieces of one gzip member that holds all texts, one after the other."""
    yield _HEADER
    crc, length = 0, 0
    for run in runs:
        yield from (block.deflated for block in run.blocks)
        crc = combined(crc, run.crc, run.shift)
        length += run.length
    yield _LAST_BLOCK
    yield crc.to_bytes(4, "little")
    yield (length & 0xFFFFFFFF).to_bytes(4, "little")
