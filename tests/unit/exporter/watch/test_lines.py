from hypothesis import given
from hypothesis import strategies as st

from exporter.watch.lines import LineSplitter


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_are_the_same_however_the_bytes_arrive(
    lines: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    splitter = LineSplitter()
    found: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found.extend(splitter.feed(stream[:size]))
        stream = stream[size:]
    assert found == [line for line in lines if line]
    assert not splitter.cut


def test_a_line_over_the_cap_is_skipped_also_when_it_comes_in_pieces() -> None:
    splitter = LineSplitter(cap=10)
    found = [
        line for piece in (b"ab\n12345", b"67890", b"1\ncd", b"\n") for line in splitter.feed(piece)
    ]
    assert found == [b"ab", b"cd"]
    assert splitter.skipped == 1


def test_a_line_of_exactly_the_cap_is_kept() -> None:
    splitter = LineSplitter(cap=4)
    assert list(splitter.feed(b"1234\n")) == [b"1234"]
    assert splitter.skipped == 0


def test_an_endless_line_is_not_held_in_memory() -> None:
    splitter = LineSplitter(cap=10)
    for _ in range(100):
        assert list(splitter.feed(b"x" * 8)) == []
    assert sum(map(len, splitter._pieces)) <= 10
    assert splitter.cut
