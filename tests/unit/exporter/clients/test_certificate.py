"""The end of a certificate, from its bytes alone."""

import ssl
from datetime import UTC, datetime

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from exporter.clients.certificate import not_after


def der(ends: datetime) -> bytes:
    begins = datetime(1960, 1, 1, tzinfo=UTC)
    issued = trustme.CA().issue_cert("a.test", not_before=begins, not_after=ends)
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize("year", [1999, 2026, 2049, 2050, 9999])
def test_the_end_is_read_in_both_ways_of_writing_it(year: int) -> None:
    ends = datetime(year, 12, 31, 23, 59, 58, tzinfo=UTC)
    assert not_after(der(ends)) == ends


KNOWN = der(datetime(2026, 1, 1, tzinfo=UTC))


@given(st.integers(0, len(KNOWN) - 1))
def test_a_certificate_that_is_cut_off_has_no_end(length: int) -> None:
    assert not_after(KNOWN[:length]) is None


@given(st.binary(max_size=200))
def test_what_is_no_certificate_has_no_end(data: bytes) -> None:
    assert not_after(data) is None
