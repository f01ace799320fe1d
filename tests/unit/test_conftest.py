import socket

import pytest

from tests.conftest import OffLoopbackError, strays


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "2001:db8::1"])  # noqa: S104 - refused below
def test_a_socket_that_leaves_loopback_is_refused(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe, pytest.raises(OffLoopbackError):
        probe.bind((host, 0))
    with socket.socket(family) as probe, pytest.raises(OffLoopbackError):
        probe.connect((host, 9))
    with pytest.raises(OffLoopbackError):
        socket.getaddrinfo("example.org", 80)
    assert len(strays) == 3
    strays.clear()


def test_loopback_is_open() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.5.6.7", 0))
        server.listen()
        client.connect(server.getsockname())
