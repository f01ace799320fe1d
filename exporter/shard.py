"""Which of several exporters publishes what: each key belongs to exactly one of them.

A streamed source runs in every shard and sees all objects, but publishes only the keys (the
objects' uids) that its shard owns: the schedule sees to that, collectors need do nothing. A polled
source runs only in the shard that owns its `collector/source`.

Keys are shared out by jump consistent hash (Lamping and Veach, 2014,
https://arxiv.org/abs/1406.2294), so that from `total` to `total` + 1 shards only one key of `total`
+ 1 moves. What it hashes is BLAKE2b of the key, 8 bytes, big-endian: the same in every process,
unlike Python's own hash.
"""

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `total` exporters; `index` counts from 0. The default owns everything."""

    index: int = 0
    total: int = 1

    def owns(self, key: str) -> bool:
        """Say whether this shard publishes `key`: an object's uid, or `collector/source`."""
        return self.total == 1 or shard_of(key, self.total) == self.index


ALONE = Shard()
"""The one exporter there is, which owns everything."""


def shard_of(key: str, total: int) -> int:
    """Return the index of the shard that owns `key`, from 0 to `total` - 1; 2 µs."""
    state = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
    index, jump = 0, 0
    while jump < total:
        index = jump
        state = (state * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF  # the paper's generator
        jump = int((index + 1) * ((1 << 31) / ((state >> 33) + 1)))
    return index
