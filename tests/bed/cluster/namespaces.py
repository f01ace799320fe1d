"""A namespace of its own for each test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex

from tests.bed.cluster.client import Client
from tests.bed.cluster.rest import path_of


@asynccontextmanager
async def fresh(api: Client) -> AsyncIterator[str]:
    """Yield the name of a new namespace, deleted in the end with all that is in it."""
    name = f"test-{token_hex(4)}"
    body = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}
    await api.send("POST", path_of("Namespace"), body)
    yield name
    await api.send("DELETE", path_of("Namespace", name=name))
