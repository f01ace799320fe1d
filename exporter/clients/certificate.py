"""The end of a certificate's validity, also of one that cannot be verified.

`ssl` decodes only what it has verified, and an expired certificate is just what it cannot verify.
So the one field is read from the DER form: RFC 5280 §4.1, X.690 §8.
"""

from datetime import UTC, datetime

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _EXPLICIT_0 = 0x30, 0x17, 0x18, 0xA0


def not_after(der: bytes) -> datetime | None:
    """Return when the certificate ends, or None when `der` is none."""
    try:
        certificate = _content(der, _SEQUENCE)
        fields = _content(certificate, _SEQUENCE)
        if fields[0] == _EXPLICIT_0:  # version
            fields = _after(fields)
        for _ in range(3):  # serial number, signature's algorithm, issuer
            fields = _after(fields)
        validity = _content(fields, _SEQUENCE)
        end = _after(validity)
        return _time(end[0], _content(end, end[0]).decode("ascii"))
    except (IndexError, ValueError):
        return None


def _split(data: bytes) -> tuple[int, int]:
    """Return where the content of the first element begins and ends."""
    length, begin = data[1], 2
    if length & 0x80:
        octets = length & 0x7F
        length, begin = int.from_bytes(data[2 : 2 + octets], "big"), 2 + octets
    if begin + length > len(data):
        raise ValueError("an element is longer than what holds it")
    return begin, begin + length


def _content(data: bytes, tag: int) -> bytes:
    if data[0] != tag:
        raise ValueError("not the element that belongs here")
    begin, end = _split(data)
    return data[begin:end]


def _after(data: bytes) -> bytes:
    return data[_split(data)[1] :]


def _time(tag: int, text: str) -> datetime:
    """Read a time; both forms end in Z, and the short one's years are 1950 to 2049."""
    if tag == _UTC_TIME:
        text = ("20" if int(text[:2]) < 50 else "19") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not a time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
