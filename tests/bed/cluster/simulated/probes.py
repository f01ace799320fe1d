"""Readiness and liveness probes: httpGet and tcpSocket."""

import asyncio
from dataclasses import dataclass

import aiohttp

from tests.bed.cluster.simulated.objects import Obj, number, part, parts, text


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a container, as its spec says (defaults already filled in)."""

    spec: Obj
    container: Obj
    address: str

    @property
    def period(self) -> int:
        """Seconds between two tries."""
        return number(self.spec, "periodSeconds", default=10)

    @property
    def delay(self) -> int:
        """Seconds before the first try."""
        return number(self.spec, "initialDelaySeconds")

    @property
    def failures(self) -> int:
        """Failures in a row that count as failed."""
        return number(self.spec, "failureThreshold", default=3)

    async def ask(self, session: aiohttp.ClientSession) -> str:
        """Try once; return why it failed, empty when it did not."""
        try:
            async with asyncio.timeout(number(self.spec, "timeoutSeconds", default=1)):
                if "httpGet" in self.spec:
                    return await self._http(session, part(self.spec, "httpGet"))
                return await self._tcp(part(self.spec, "tcpSocket"))
        except TimeoutError:
            return "context deadline exceeded"
        except aiohttp.ClientConnectorError as error:
            return f"dial tcp {error.host}:{error.port}: {error.os_error.strerror}"
        except (OSError, aiohttp.ClientError) as error:
            return str(error)

    async def _http(self, session: aiohttp.ClientSession, action: Obj) -> str:
        url = f"http://{self._host(action)}:{self._port(action)}{text(action, 'path')}"
        async with session.get(url, allow_redirects=False) as response:
            if response.status < 400:
                return ""
            return f"HTTP probe failed with statuscode: {response.status}"

    async def _tcp(self, action: Obj) -> str:
        _, writer = await asyncio.open_connection(self._host(action), self._port(action))
        writer.close()
        return ""

    def _host(self, action: Obj) -> str:
        return text(action, "host") or self.address

    def _port(self, action: Obj) -> int:
        return resolve_port(action.get("port"), [self.container])


def resolve_port(port: object, containers: list[Obj]) -> int:
    """Return the number of a port given by number or by name; 0 when no container names it."""
    if isinstance(port, int):
        return port
    for container in containers:
        for declared in parts(container, "ports"):
            if declared.get("name") == port:
                return number(declared, "containerPort")
    return 0
