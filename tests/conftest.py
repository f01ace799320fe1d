"""What every test lives under: markers from folders, and no way off this machine."""

import ipaddress
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.bed.cluster.real.network import NETWORK

# A property is about values, never about this machine's pace: on a new one hypothesis first writes
# its character tables, and that alone takes seconds.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

HERE = Path(__file__).parent
MARKERS = {
    "integration": "integration",
    "contracts": "integration",
    "scenarios": "scenario",
    "e2e": "e2e",
}
BED = ipaddress.ip_network("198.18.0.0/15")
"""The networks of real clusters in the bed: on this machine alone, nobody routes them."""
WATCHED = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo")

strays: list[str] = []


class OffLoopbackError(RuntimeError):
    """A test reached for another machine, or offered itself to one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in MARKERS:
            item.add_marker(MARKERS[folder])


def is_loopback(host: object) -> bool:
    """Say whether an address, a name or None (getaddrinfo: this machine) stays here.

    The network of a real cluster does: it is made for it, and ends at this machine.
    """
    text = host.decode() if isinstance(host, bytes) else host
    if text in (None, "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return address.is_loopback or address in NETWORK


def keep_on_loopback(event: str, args: tuple[object, ...]) -> None:
    if event not in WATCHED:
        return
    # (host, …) for getaddrinfo, (socket, (host, port, …)) for the rest; a path is a Unix socket.
    where = args if event == "socket.getaddrinfo" else args[1]
    if isinstance(where, tuple) and not is_loopback(where[0]):
        strays.append(f"{event} {where[0]!r}")
        raise OffLoopbackError(strays[-1])


if os.environ.get("CLUSTER") != "given":  # a person's own cluster is wherever they say
    sys.addaudithook(keep_on_loopback)


@pytest.fixture(autouse=True)
def _the_log_is_as_it_was() -> Iterator[None]:
    """Forget where a command that ran in this process sent its log: that is closed by now."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = [each for each in root.handlers if each in handlers]
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine() -> Iterator[None]:
    """Fail the test even where the code under test took the refusal for weather."""
    strays.clear()
    yield
    assert strays == []
