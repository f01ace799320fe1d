"""Loopback addresses for pods and Services, from a block that no other bed uses."""

import os
import socket

LOCK_PORT = 65535
FIRST_BLOCK, BLOCKS = 16, 224  # 127.16.0.0/16 to 127.239.0.0/16; away from 127.0.0.1 and 127.0.1.1


class NoAddressError(Exception):
    """All blocks are in use."""


class Addresses:
    """One /16 of loopback, held by a listening socket so that the kernel frees it on any end."""

    def __init__(self) -> None:
        for attempt in range(BLOCKS):
            block = f"127.{FIRST_BLOCK + (os.getpid() + attempt) % BLOCKS}"
            lock = socket.socket()
            try:
                lock.bind((f"{block}.255.254", LOCK_PORT))
            except OSError:
                lock.close()
                continue
            self._block, self._lock, self._given = block, lock, 0
            return
        raise NoAddressError("every block of loopback addresses is in use by another bed")

    def next(self) -> str:
        """Return an address not given before; after 65,000 they come round again."""
        self._given = self._given % (254 * 254) + 1
        return f"{self._block}.{self._given // 254}.{self._given % 254 + 1}"

    def close(self) -> None:
        """Let the block go."""
        self._lock.close()
