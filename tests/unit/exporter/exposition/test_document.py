"""A page in every form that a client may ask for is prometheus_client's own, or a part of it."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from typing_extensions import override

from exporter.contract import Sample
from exporter.exposition import page
from exporter.exposition.checksum import combined, shift_of
from exporter.exposition.deflate import Block, Blocks, Deflater, gzip_member
from exporter.exposition.document import Document, Format
from exporter.exposition.page import SLOTS
from exporter.exposition.store import FragmentStore
from tests.client_exposition import GAUGE, METRICS, fragments, printed, printed_as_openmetrics

FAST = pytest.mark.parametrize("fast", [True, False], ids=["isal", "zlib"])


def store_of(samples: list[Sample], *, fast: bool = True) -> FragmentStore:
    store = FragmentStore(METRICS, max_series=100_000, deflater=Deflater(fast=fast))
    store.open(METRICS).put("", samples)
    return store


def one_member(body: bytes) -> bytes:
    """Inflate as curl does: nothing may follow the first member."""
    reader = zlib.decompressobj(wbits=31)
    text = reader.decompress(body)
    assert (reader.eof, reader.unused_data) == (True, b"")
    return text


@given(fragments)
def test_openmetrics_is_byte_for_byte_the_clients(samples: list[Sample]) -> None:
    assert store_of(samples).document().text(Format.OPENMETRICS) == printed_as_openmetrics(samples)


@FAST
@given(samples=fragments, format_=st.sampled_from(Format))
def test_gzip_inflates_to_the_same_page_as_one_member(
    samples: list[Sample], format_: Format, *, fast: bool
) -> None:
    document = store_of(samples, fast=fast).document()
    body = b"".join(document.gzip(format_))
    assert gzip.decompress(body) == one_member(body) == document.text(format_)
    assert document.length(format_) == len(document.text(format_))


def test_nothing_at_all_is_a_valid_page_in_each_form() -> None:
    for format_, text in ((Format.TEXT, b""), (Format.OPENMETRICS, b"# EOF\n")):
        assert Document().text(format_) == text
        assert one_member(b"".join(Document().gzip(format_))) == text


@given(st.lists(st.binary(max_size=600), max_size=6))
def test_the_checksum_of_texts_put_together_comes_from_theirs(texts: list[bytes]) -> None:
    crc = 0
    for text in texts:
        crc = combined(crc, zlib.crc32(text), shift_of(len(text)))
    assert crc == zlib.crc32(b"".join(texts))


@pytest.mark.parametrize("length", [0, 1, 255, 256, 65_535, 65_536, 1_000_003])
def test_the_checksum_holds_for_long_texts(length: int) -> None:
    before, after = b"kpi", b"x" * length
    crc = combined(zlib.crc32(before), zlib.crc32(after), shift_of(length))
    assert crc == zlib.crc32(before + after)


@FAST
def test_blocks_may_come_in_any_order(*, fast: bool) -> None:
    deflater = Deflater(fast=fast)
    first, second = (deflater.block((text * 500,)) for text in (b"one ", b"two "))
    for order in ([first, second], [second, first], [first, first]):
        body = b"".join(gzip_member([Blocks.of(order)]))
        assert one_member(body) == b"".join(block.text for block in order)


def pods(count: int, length: int = 10) -> list[tuple[str, Sample]]:
    return [(f"uid-{n}", Sample(GAUGE, (f"pod-{n}", "x" * length), 1)) for n in range(count)]


def test_a_page_of_long_fragments_is_cut_and_only_what_changed_is_deflated_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page, "BLOCK_BYTES", 1000)
    deflated = []

    class Counting(Deflater):
        @override
        def block(self, fragments: tuple[bytes, ...]) -> Block:
            deflated.append(fragments)
            return super().block(fragments)

    store = FragmentStore([GAUGE], max_series=1000, deflater=Counting())
    source = store.open([GAUGE])
    samples = pods(20, length=700)
    for key, sample in samples:
        source.put(key, [sample])
    store.document()
    deflated.clear()
    source.put("uid-7", [Sample(GAUGE, samples[7][1].labels, 0)])
    body = b"".join(store.document().gzip(Format.TEXT))
    assert len(deflated) == 1
    assert b'pod="pod-7"} 0.0' in deflated[0][0]
    changed = [replace(sample, value=float(key != "uid-7")) for key, sample in samples]
    assert one_member(body) == printed(changed)


def test_a_family_goes_with_its_last_sample_and_comes_back() -> None:
    store = FragmentStore(METRICS, max_series=1000)
    source = store.open(METRICS)
    for key, sample in pods(SLOTS + 1):
        source.put(key, [sample])
    assert store.document().text() != b""
    source.clear()
    assert store.document().text() == b""
    source.put("uid-0", [pods(1)[0][1]])
    assert store.document().text() == printed([pods(1)[0][1]])


def test_a_scrape_of_one_collector_shows_its_samples_alone() -> None:
    store = FragmentStore(METRICS, max_series=1000)
    for collector in ("a", "b", "c"):
        source = store.open(METRICS, collector=collector)
        source.put("", [Sample(GAUGE, (collector, ""), 1)])
    document = store.document()
    assert document.text() == printed([Sample(GAUGE, (name, ""), 1) for name in "abc"])
    for format_, of_client in (
        (Format.TEXT, printed),
        (Format.OPENMETRICS, printed_as_openmetrics),
    ):
        expected = of_client([Sample(GAUGE, (name, ""), 1) for name in "ac"])
        picked = document.only({"c", "a", "d"})
        assert picked.text(format_) == expected
        assert one_member(b"".join(picked.gzip(format_))) == expected
    assert document.only([]).text() == b""


def test_what_is_put_during_a_refresh_waits_for_the_next_and_no_object_is_half_new() -> None:
    store = FragmentStore(METRICS, max_series=100_000)
    source = store.open(METRICS)
    samples = pods(3 * SLOTS)
    for key, sample in samples:
        source.put(key, [sample])
    before = store.document()
    for key, sample in samples:
        source.put(key, [replace(sample, value=2)])
    refresh = store.refresh()
    next(refresh)
    assert store.latest is before
    # The newest object takes the oldest one's series over, from the last page to the first.
    source.put("uid-new", [replace(samples[0][1], value=3)])
    source.put(samples[-1][0], [replace(samples[-1][1], value=3)])
    assert store.refresh() is refresh
    for _ in refresh:
        assert store.latest is before
    assert store.latest.text() == printed(replace(sample, value=2) for _, sample in samples)
    text = store.document().text()
    assert text.count(b'pod="pod-0"') == 1
    assert text.count(b" 3.0\n") == 2


def test_a_refresh_that_was_given_up_loses_nothing() -> None:
    store = FragmentStore(METRICS, max_series=100_000)
    source = store.open(METRICS)
    samples = pods(3 * SLOTS)
    for key, sample in samples:
        source.put(key, [sample])
    refresh = store.refresh()
    next(refresh)
    next(refresh)
    refresh.close()  # type: ignore[attr-defined]  # an iterator that is a generator
    assert store.document().text() == printed(sample for _, sample in samples)


def test_openmetrics_can_be_read_by_the_clients_own_strict_parser() -> None:
    samples = [sample for _, sample in pods(3)]
    text = store_of(samples).document().text(Format.OPENMETRICS).decode()
    [family] = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    assert len(family.samples) == 3
