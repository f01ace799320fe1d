from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bed.cluster.real import cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "runbookd"


def make(folder: Path) -> None:
    (folder / "made").write_text("here")


def test_what_is_there_is_not_made_again(home: Path) -> None:
    assert cache.made("thing", "1", make) == home / "thing-1"
    place = cache.made("thing", "1", lambda _: pytest.fail("made twice"))
    assert (place / "made").read_text() == "here"


def test_two_that_want_the_same_make_it_once() -> None:
    makings: list[Path] = []
    with ThreadPoolExecutor() as pool:
        wanted = [pool.submit(cache.made, "thing", "1", makings.append) for _ in range(4)]
    assert len({each.result() for each in wanted}) == 1
    assert len(makings) == 1


def test_a_failure_leaves_nothing_behind(home: Path) -> None:
    def fail(folder: Path) -> None:
        make(folder)
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        cache.made("thing", "1", fail)
    assert [path.name for path in home.iterdir()] == [".thing.lock"]


def test_of_each_name_the_longest_unused_is_forgotten(home: Path) -> None:
    cache.made("other", "0", make)
    for key in "1234":
        cache.made("thing", key, make)
        cache.made("thing", "1", make)
    assert {path.name for path in home.glob("*-*")} == {"other-0", "thing-1", "thing-3", "thing-4"}


def test_the_key_tells_content_and_names_but_no_bytecode(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "a").write_text("1")
    first = cache.digest(folder)
    (folder / "__pycache__" / "a.pyc").write_text("x")
    assert cache.digest(folder) == first
    (folder / "a").rename(folder / "b")
    renamed = cache.digest(folder)
    (folder / "b").write_text("2")
    assert len({first, renamed, cache.digest(folder), cache.digest(folder, also="x")}) == 4
