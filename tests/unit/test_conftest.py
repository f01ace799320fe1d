import socket

import pytest

from tests.conftest import OffLoopbackError, is_loopback, strays


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


def test_the_network_of_a_real_cluster_stays_on_this_machine() -> None:
    assert is_loopback("198.18.0.7")
    assert not is_loopback("198.20.0.7")
