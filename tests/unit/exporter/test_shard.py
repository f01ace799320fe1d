"""Shards add up to the whole, and few keys move when one is added."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.shard import Shard, shard_of

UIDS = [str(UUID(int=number * 0x9E3779B97F4A7C15)) for number in range(3000)]


@given(st.text(), st.integers(1, 50))
def test_every_key_belongs_to_exactly_one_shard(key: str, total: int) -> None:
    owners = [index for index in range(total) if Shard(index, total).owns(key)]
    assert owners == [shard_of(key, total)]


def test_one_exporter_alone_owns_everything() -> None:
    assert all(Shard().owns(uid) for uid in UIDS)


@pytest.mark.parametrize("total", [2, 3, 7])
def test_the_shards_are_about_equally_large(total: int) -> None:
    shares = [sum(shard_of(uid, total) == index for uid in UIDS) for index in range(total)]
    assert sum(shares) == len(UIDS)
    assert min(shares) > 0.85 * len(UIDS) / total


@pytest.mark.parametrize("total", [1, 2, 6])
def test_a_further_shard_takes_its_share_and_moves_nothing_else(total: int) -> None:
    moved = {uid for uid in UIDS if shard_of(uid, total) != shard_of(uid, total + 1)}
    assert {shard_of(uid, total + 1) for uid in moved} == {total}
    assert len(moved) < 1.15 * len(UIDS) / (total + 1)


def test_the_hash_is_the_same_on_every_machine_and_in_every_release() -> None:
    uid = "8f8f9b1e-3c6a-4b0f-9d53-0f3f6a1f7a10"
    assert [shard_of(uid, total) for total in (1, 2, 3, 13, 21, 34)] == [0, 1, 1, 1, 15, 31]
