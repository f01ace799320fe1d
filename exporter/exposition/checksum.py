"""The CRC-32 of texts put together, from theirs alone: no text has to be kept or read again.

A CRC-32 is a polynomial over GF(2) modulo RFC 1952's, its highest bit first in an integer (bit 31
is x^0). Text that follows `n` bytes adds to their CRC multiplied by x^(8n).
"""

from functools import lru_cache

_POLYNOMIAL = 0xEDB88320
"""RFC 1952, section 8, bits reversed."""

_ONE = 0x80000000


def combined(first: int, second: int, shift: int) -> int:
    """Return the CRC-32 of two texts, from theirs; `shift` is `shift_of` the second's length."""
    return _product(first, shift) ^ second


def shift_of(length: int) -> int:
    """Return x^(8 · length), by which that many bytes shift the CRC-32 of what precedes them."""
    shift, place = _ONE, 0
    while length:
        if length & 0xFF:
            shift = _product(shift, _power(place, length & 0xFF))
        length, place = length >> 8, place + 1
    return shift


@lru_cache(maxsize=1024)
def _power(place: int, count: int) -> int:
    """Return x^(8 · count · 256^place)."""
    if count > 1:
        return _product(_power(place, count - 1), _power(place, 1))
    return _product(_power(place - 1, 255), _power(place - 1, 1)) if place else _ONE >> 8


def _product(left: int, right: int) -> int:
    """Multiply two polynomials modulo the CRC's; 4 µs."""
    product, bit = 0, _ONE
    while left:
        if left & bit:
            product ^= right
            left ^= bit
        bit >>= 1
        right = (right >> 1) ^ _POLYNOMIAL if right & 1 else right >> 1
    return product
