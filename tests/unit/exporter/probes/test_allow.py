"""Nothing is asked that is not listed, whatever a name, a redirect or an address pretends to be."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.probes.allow import HOST_PATTERN, AllowList, Configured

CONFIGURED = Configured()


def allow(*networks: str, hosts: tuple[str, ...] = ()) -> AllowList:
    return AllowList(hosts, [ipaddress.ip_network(each) for each in networks])


EVERYWHERE = allow("0.0.0.0/0", "::/0")

CREDENTIALS = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fe80::1",
    "fe80::1%eth0",
    "100.100.100.200",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
]


@pytest.mark.parametrize("address", CREDENTIALS)
def test_metadata_services_are_never_asked(address: str) -> None:
    named = allow("169.254.0.0/16", "fd00:ec2::/32", "fe80::/10", "100.100.100.200/32", "::/0")
    for guard in (CONFIGURED, EVERYWHERE, named):
        assert "never asked" in str(guard.address(address))


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "0.0.0.1", "::", "224.0.0.1", "ff02::1", "::ffff:127.0.0.1"]
)
def test_this_machine_is_only_asked_where_it_is_named(address: str) -> None:
    assert CONFIGURED.address(address) is None
    assert EVERYWHERE.address(address) is not None
    named = allow("127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8")
    assert named.address(address) is None


@given(st.ip_addresses())
def test_nothing_is_allowed_by_an_empty_list(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert allow().address(str(address)) is not None


@given(st.ip_addresses(v=4, network="10.0.0.0/8"))
def test_an_address_of_a_listed_network_is_allowed(address: ipaddress.IPv4Address) -> None:
    assert allow("192.168.0.0/16", "10.0.0.0/8").address(str(address)) is None
    assert allow("192.168.0.0/16").address(str(address)) is not None


def test_a_text_that_is_no_address_is_refused_loudly() -> None:
    with pytest.raises(ValueError, match="localhost"):
        EVERYWHERE.address("localhost")


@pytest.mark.parametrize(
    ("pattern", "host", "port", "allowed"),
    [
        ("shop.test", "shop.test", 80, True),
        ("shop.test", "SHOP.test.", 443, True),
        ("shop.test", "a.shop.test", 80, False),
        ("shop.test", "shop.test.evil.test", 80, False),
        ("*.shop.test", "a.b.shop.test", 80, True),
        ("*.shop.test", "shop.test", 80, False),
        ("*.shop.test", ".shop.test", 80, False),
        ("*.shop.test", "evilshop.test", 80, False),
        ("shop.test:8443", "shop.test", 8443, True),
        ("shop.test:8443", "shop.test", 80, False),
        ("10.0.0.1", "10.0.0.1", 80, True),
        ("[fd00::1]:80", "fd00::1", 80, True),
        ("[fd00::1]", "fd00::1", 81, True),
        ("[fd00::1]:80", "fd00::1", 81, False),
    ],
)
def test_hosts_are_matched_whole(
    pattern: str,
    host: str,
    port: int,
    allowed: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    assert HOST_PATTERN.fullmatch(pattern)
    assert (allow(hosts=(pattern,)).host(host, port) is None) is allowed


@pytest.mark.parametrize(
    "pattern", ["", "*", "*.", "a.*.test", "http://a.test", "a.test/x", "u@a.test", "A.test", "a:b"]
)
def test_a_pattern_that_means_something_else_is_none(pattern: str) -> None:
    assert not HOST_PATTERN.fullmatch(pattern)


def test_no_host_is_allowed_by_default() -> None:
    assert allow().host("shop.test", 80) is not None
    assert CONFIGURED.host("shop.test", 80) is None
