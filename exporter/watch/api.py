"""The exporter's reads of the API server; it has no way to write."""

from collections.abc import Mapping
from datetime import timedelta

from exporter.ports import Answer, Response
from exporter.shared.kube_client import KubeConnection

LIST_DEADLINE = timedelta(seconds=60)
"""For one page or one object; the API server itself gives up a request after a minute."""


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
