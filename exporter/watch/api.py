"""The exporter's reads of the API server; it has no way to write."""

import asyncio
import ssl
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from exporter.ports import Answer, Response
from exporter.shared.errors import TransientError
from exporter.shared.kube_client import KubeConnection

LIST_DEADLINE = timedelta(seconds=60)
"""For one page or one object; the API server itself gives up a request after a minute."""


HANDSHAKE_DEADLINE = timedelta(seconds=10)


class KubeReads:
    """ports.ApiServer over one connection, which connects with the first read."""

    def __init__(self, connection: KubeConnection) -> None:
        self._connection = connection

    async def list(self, path: str, query: Mapping[str, str]) -> bytes:
        """GET `path`, return the body. Raises TransientError, PermanentError, GoneError (410)."""
        return await self._connection.request("GET", path, query=query, deadline=LIST_DEADLINE)

    async def watch(self, path: str, query: Mapping[str, str]) -> Response:
        """Open a watch on `path` (the caller closes it). Raises as `list` does."""
        return await self._connection.stream(path, query)

    async def metadata(self, path: str, query: Mapping[str, str]) -> bytes:
        """GET a list of objects with their metadata alone. Raises as `list` does."""
        return await self._connection.metadata(path, query=query, deadline=LIST_DEADLINE)

    async def ask(self, path: str, *, deadline: timedelta) -> Answer:
        """GET `path` and return what comes, an error's status too. Raises TransientError."""
        return Answer(*await self._connection.ask(path, deadline=deadline))

    async def certificate(self) -> bytes | None:
        """Return the certificate that the server shows, as DER; None where it speaks no TLS.

        Whether it is valid is not asked: an expired one is what this is for. Raises TransientError.
        """
        address = urlsplit(await self._connection.address())
        if address.scheme != "https" or address.hostname is None:
            return None
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        try:
            async with asyncio.timeout(HANDSHAKE_DEADLINE.total_seconds()):
                _, writer = await asyncio.open_connection(
                    address.hostname, address.port or 443, ssl=unverified
                )
        except (OSError, TimeoutError) as error:
            raise TransientError(f"no TLS handshake: {type(error).__name__}") from error
        shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
        certificate = shown.getpeercert(binary_form=True)
        writer.close()
        return certificate
