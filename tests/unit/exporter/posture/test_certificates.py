"""Expiry dates of certificates that a real library made."""

import contextlib
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from exporter.posture.certificates import first_of, not_after


def made(expires: datetime) -> bytes:
    authority = trustme.CA()
    issued = authority.issue_cert("web.example.com", not_after=expires)
    return b"".join(blob.bytes() for blob in issued.cert_chain_pems)


@pytest.mark.parametrize("year", [2027, 2049, 2050, 2099])
def test_the_first_certificate_of_a_chain_tells_when_it_expires(year: int) -> None:
    expires = datetime(year, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert not_after(first_of(made(expires))) == expires


def test_a_key_beside_the_certificate_is_passed_over() -> None:
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    assert not_after(first_of(key + made(expires))) == expires


@pytest.mark.parametrize("pem", [b"", b"no PEM", made(datetime(2030, 1, 1, tzinfo=UTC))[:200]])
def test_what_holds_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        first_of(pem)


DER = ssl.PEM_cert_to_DER_cert(made(datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=1)).decode())


@given(st.integers(0, len(DER) - 1), st.binary(min_size=1, max_size=4))
def test_a_broken_certificate_is_refused_or_read_but_nothing_else(at: int, noise: bytes) -> None:
    broken = DER[:at] + noise + DER[at + len(noise) :]
    with contextlib.suppress(ValueError):
        not_after(broken)


@given(st.integers(0, 200))
def test_a_cut_off_certificate_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="cut off"):
        not_after(DER[:length])
