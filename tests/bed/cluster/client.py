"""A cluster as a client sees it: raw JSON through kubernetes_asyncio and the kubeconfig."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import aiohttp
from kubernetes_asyncio import client, config

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
EVENT_SECONDS = 10.0


def at(obj: object, path: str) -> object:
    """Return what is at a path like `spec.containers.0.name`; None where it leads nowhere."""
    for key in path.split("."):
        if isinstance(obj, list):
            obj = obj[int(key)] if int(key) < len(obj) else None
        else:
            obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


def items(obj: object, path: str = "items") -> list[dict[str, object]]:
    """Return the list at `path`, empty when there is none."""
    found = at(obj, path)
    return found if isinstance(found, list) else []


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> dict[str, object]:
        """The answer as JSON."""
        found: dict[str, object] = json.loads(self.text)
        return found

    def at(self, path: str) -> object:
        """Return what is at a path of the body."""
        return at(self.body, path)


class Watch:
    """An open watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> dict[str, object]:
        """Return the next event.

        Raises EOFError when the watch has ended, TimeoutError when nothing comes, ValueError for
        half a line and aiohttp.ClientError when the connection broke.
        """
        async with asyncio.timeout(EVENT_SECONDS):
            line = await self._response.content.readline()
        if not line:
            raise EOFError("the watch has ended")
        event: dict[str, object] = json.loads(line)
        return event

    async def until(self, kind: str) -> list[dict[str, object]]:
        """Return the events up to and including the first of this type."""
        events = [await self.next()]
        while events[-1]["type"] != kind:
            events.append(await self.next())
        return events


class Client:
    """Requests to one cluster."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: Path, user_agent: str = "behaviour") -> AsyncIterator[Self]:
        """Connect as our programs do."""
        settings = client.Configuration()
        await config.load_kube_config(str(kubeconfig), client_configuration=settings)
        async with client.ApiClient(settings) as api:
            api.user_agent = user_agent
            yield cls(api)

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        **query: str,
    ) -> Answer:
        """Send one request and return the answer, whatever it says."""
        response = await self._request(method, path, query, body, content_type)
        async with response:
            return Answer(response.status, response.headers, await response.text())

    async def get(self, path: str, **query: str) -> Answer:
        """GET."""
        return await self.send("GET", path, **query)

    @asynccontextmanager
    async def watch(self, path: str, **query: str) -> AsyncIterator[Watch]:
        """Open a watch on a collection."""
        response = await self._request("GET", path, {"watch": "true", **query})
        try:
            yield Watch(response)
        finally:
            response.close()

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object = None,
        content_type: str = "application/json",
    ) -> aiohttp.ClientResponse:
        headers = {**self._api.default_headers, "Content-Type": content_type}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"])
        response: aiohttp.ClientResponse = await self._api.rest_client.request(
            method,
            f"{self._api.configuration.host}{path}" + (f"?{urlencode(query)}" if query else ""),
            headers=headers,
            body=body,
            _preload_content=False,
        )
        return response
