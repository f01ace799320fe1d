"""Who may be asked; pure.

Two things are checked, each time a connection is made: the host that stands in the URL (or in a
redirect), and the IP address that it resolved to, which is then the one connected to. A name that
is allowed can so not be pointed at an address that is not.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CREDENTIALS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local: EC2, ECS, EKS, Azure and Google hand out credentials here
        "fe80::/10",
        "fd00:ec2::/32",  # EC2's over IPv6: instance metadata .254, EKS pod identity .23
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's host
        "192.0.0.192/32",  # Oracle
    )
)
"""Addresses of metadata services, which give credentials to whoever asks; never probed."""

SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8")
)
"""This very machine, and many at once: no wider network includes them, they have to be named."""

_EMBEDDED = (ipaddress.ip_network("64:ff9b::/96"),)
"""IPv6 addresses whose last 32 bits are the IPv4 address that is really reached (RFC 6052)."""

HOST_PATTERN = re.compile(
    r"(?:\*\.)?[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?(?::\d{1,5})?|\[[0-9a-f:]+\](?::\d{1,5})?"
)
"""`name`, `*.name` or an IP address, each with `:port` where only that one is meant."""


@dataclass(frozen=True, slots=True)
class Configured:
    """probe_port.Guard for what the settings name: everything but metadata services."""

    def host(self, _host: str, _port: int) -> str | None:
        """Allow every host."""
        return None

    def address(self, address: str) -> str | None:
        """Refuse the addresses of metadata services."""
        return credentials_refusal(plain_address(address))


@dataclass(frozen=True, slots=True)
class AllowList:
    """probe_port.Guard for what a stranger names: nothing that is not listed."""

    hosts: Sequence[str]
    """As HOST_PATTERN, in lower case; `*.` stands for one or more labels."""
    networks: Sequence[Network]

    def host(self, host: str, port: int) -> str | None:
        """Refuse a host that no pattern matches."""
        host = host.lower().rstrip(".")
        if any(_matches(pattern, host, port) for pattern in self.hosts):
            return None
        return f"host {host} port {port} is not in the allow-list"

    def address(self, address: str) -> str | None:
        """Refuse an address that no network holds, and those that are refused always."""
        found = plain_address(address)
        refusal = credentials_refusal(found)
        if refusal:
            return refusal
        inside = [network for network in self.networks if _holds(network, found)]
        special = next((each for each in SPECIAL if _holds(each, found)), None)
        if special is not None:
            inside = [network for network in inside if _within(network, special)]
        return None if inside else f"{found} is in no allowed network"


def credentials_refusal(address: Address) -> str | None:
    """Say why a metadata service's address is refused; None for other addresses."""
    if any(_holds(network, address) for network in CREDENTIALS):
        return f"{address} gives out credentials and is never asked"
    return None


def plain_address(address: str) -> Address:
    """Return the address that is really reached. Raises ValueError when `address` is none."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        return found
    if any(found in network for network in _EMBEDDED):
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.ipv4_mapped or found.sixtofour or found


def _matches(pattern: str, host: str, port: int) -> bool:
    name, port_wanted = _split(pattern)
    if port_wanted is not None and port_wanted != port:
        return False
    if name.startswith("*."):
        return host.endswith(name[1:]) and len(host) > len(name) - 1
    return host == name


def _split(pattern: str) -> tuple[str, int | None]:
    """Split `name:port` or `[address]:port`."""
    if pattern.startswith("["):
        name, _, port = pattern[1:].partition("]")
        return name, int(port[1:]) if port else None
    name, _, port = pattern.partition(":")
    return name, int(port) if port else None


def _holds(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network


def _within(network: Network, outer: Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return network.subnet_of(outer)
    if isinstance(network, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return network.subnet_of(outer)
    return False
