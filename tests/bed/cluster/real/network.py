"""The addresses of a bed: a network of its own for each, reachable from this machine alone.

They are taken from 198.18.0.0/15, which RFC 2544 sets aside for benchmarks and which no network
routes. Bed number N has 198.18.N.0/24 for its pods and 198.19.N.0/24 for the rest.
"""

from dataclasses import dataclass
from ipaddress import ip_network

NETWORK = ip_network("198.18.0.0/15")
BEDS = 256


@dataclass(frozen=True, slots=True)
class Network:
    """What bed number `number` may use."""

    number: int

    @property
    def bed(self) -> str:
        """The bed's name: of its link on this machine, its control groups and its folder."""
        return f"runbookd-{self.number}"

    @property
    def pods(self) -> str:
        """The pods' network: 254 addresses."""
        return f"198.18.{self.number}.0/24"

    @property
    def host(self) -> str:
        """This machine, as the bed sees it."""
        return f"198.19.{self.number}.1"

    @property
    def node(self) -> str:
        """The node and its API server, as this machine sees them."""
        return f"198.19.{self.number}.2"

    @property
    def services(self) -> str:
        """The Services' network: 126 addresses."""
        return f"198.19.{self.number}.128/25"

    @property
    def api_service(self) -> str:
        """The Service `kubernetes`, which is always the first."""
        return f"198.19.{self.number}.129"
