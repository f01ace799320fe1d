"""When certificates expire: read from their DER, without a library that would also use their keys.

The form is RFC 5280, section 4.1: a certificate is a sequence, its first part is one too, and in it
stand version (optional, tagged 0), serial number, signature algorithm, issuer and validity.
"""

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import NamedTuple

SEQUENCE = 0x30
VERSION = 0xA0
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
BEFORE_VALIDITY = 3
"""Serial number, signature algorithm and issuer."""

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


class Element(NamedTuple):
    """One element of DER."""

    tag: int
    value: bytes


def not_after(der: bytes) -> datetime:
    """Return when a certificate expires. Raises ValueError when it is none."""
    certificate, _ = _element(der)
    signed, _ = _element(_expected(certificate, SEQUENCE))
    rest = _expected(signed, SEQUENCE)
    first, after = _element(rest)
    if first.tag == VERSION:
        rest = after
    for _ in range(BEFORE_VALIDITY):
        _, rest = _element(rest)
    validity, _ = _element(rest)
    _, rest = _element(_expected(validity, SEQUENCE))
    end, _ = _element(rest)
    return _time(end)


def first_of(pem: bytes) -> bytes:
    """Return the DER of the first certificate of a chain, the one served. Raises ValueError."""
    found = PEM.search(pem)
    if found is None:
        raise ValueError("no certificate in it")
    try:
        return base64.b64decode(found[1])
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _element(data: bytes) -> tuple[Element, bytes]:
    """Take the first element off; return it and what follows."""
    if len(data) < 2:
        raise ValueError("cut off")
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        size = length & 0x7F
        start += size
        length = int.from_bytes(data[2:start], "big")
    if len(data) < start + length:
        raise ValueError("cut off")
    return Element(tag, data[start : start + length]), data[start + length :]


def _expected(element: Element, tag: int) -> bytes:
    if element.tag != tag:
        raise ValueError(f"tag {element.tag:#x} where {tag:#x} belongs")
    return element.value


def _time(element: Element) -> datetime:
    """Read a time; two digits of a year mean 1950 to 2049 (RFC 5280, section 4.1.2.5.1)."""
    text = element.value.decode("ascii", errors="replace")
    if element.tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != GENERALIZED_TIME:
        raise ValueError("no time where the expiry belongs")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
