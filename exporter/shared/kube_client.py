"""The connection to the API server that both programs read through (and the responder writes).

kubernetes_asyncio brings kubeconfig, credentials and TLS; requests and answers stay bytes, because
its models cost seconds of CPU for what we decode in milliseconds. The library itself takes 1.1 s to
import, so it is imported when the connection opens and never before.
"""

import asyncio
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

import aiohttp

from exporter.shared.errors import (
    ConflictError,
    GoneError,
    NotFoundError,
    PermanentError,
    RunbookdError,
    TransientError,
)

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient, Configuration

Query = Mapping[str, str] | Sequence[tuple[str, str]]

JSON = "application/json"
METADATA = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Asks for a list of metadata alone ("Receiving resources as Tables", Kubernetes API concepts)."""
CONNECT_DEADLINE = timedelta(seconds=10)
OPEN_DEADLINE = timedelta(seconds=30)
"""How long a watch may take to answer with its headers; client-go waits as long."""


class Stream:
    """An answer that is read as it arrives; the caller closes it."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status = answer.status
        self._answer = answer

    @property
    def content(self) -> "Stream":
        """The body: the stream itself."""
        return self

    async def readany(self) -> bytes:
        """Return what has arrived, empty at the end. Raises TransientError when it breaks."""
        try:
            return await self._answer.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise TransientError(f"the stream broke: {error!r}") from error

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, or all. Raises TransientError when the stream breaks."""
        try:
            return await self._answer.content.read(n)
        except (aiohttp.ClientError, OSError) as error:
            raise TransientError(f"the stream broke: {error!r}") from error

    def close(self) -> None:
        """Drop the connection."""
        self._answer.close()


class KubeConnection:
    """One API server, as one user. It connects with the first request, or by `open`."""

    def __init__(self, kubeconfig: Path | None, *, user_agent: str) -> None:
        """`kubeconfig` None means the service account of the pod, else the default kubeconfig."""
        self._kubeconfig = kubeconfig
        self._user_agent = user_agent
        self._opening = asyncio.Lock()
        self._client: ApiClient | None = None

    @classmethod
    async def open(cls, kubeconfig: Path | None, *, user_agent: str) -> "KubeConnection":
        """Connect now. Raises PermanentError when the configuration cannot be read."""
        connection = cls(kubeconfig, user_agent=user_agent)
        await connection._opened()
        return connection

    async def close(self) -> None:
        """Close every connection; a later request would open a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = JSON,
        deadline: timedelta,
    ) -> bytes:
        """Send one request and return the body of its answer; `body` is JSON, as bytes.

        Raises TransientError (away, too slow, 429, 5xx; with what Retry-After says), NotFoundError,
        ConflictError (409), GoneError (410), PermanentError (the rest of 4xx, in the server's own
        words). After a TransientError a write may or may not have happened.
        """
        within = _limits(deadline)
        return await self._read(
            _Call(method, _with_query(path, query), within, body, content_type), path
        )

    async def metadata(self, path: str, *, query: Query = (), deadline: timedelta) -> bytes:
        """GET a list with the metadata of its objects alone. Raises as `request` does."""
        call = _Call("GET", _with_query(path, query), _limits(deadline), accept=METADATA)
        return await self._read(call, path)

    async def address(self) -> str:
        """Return the server's address (`https://host:port`). Raises PermanentError."""
        return str((await self._opened()).configuration.host)

    async def ask(self, path: str, *, deadline: timedelta) -> tuple[int, bytes]:
        """GET `path` and return status and body, whatever the status is.

        Raises TransientError when no answer comes (away, too slow).
        """
        try:
            answer = await self._exchanged(_Call("GET", path, _limits(deadline)))
            async with answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"GET {path}: {error!r}") from error

    async def stream(self, path: str, query: Query = ()) -> Stream:
        """GET `path` and return its body unread. Raises as `request` does."""
        call = _Call("GET", _with_query(path, query), _limits(None))
        try:
            async with asyncio.timeout(OPEN_DEADLINE.total_seconds()):
                return Stream(await self._send(call))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"GET {path}: {error!r}") from error

    async def _read(self, call: "_Call", path: str) -> bytes:
        """Send `call` and return the body of its answer; errors name `path`, without its query."""
        try:
            answer = await self._send(call)
            async with answer:
                return await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TransientError(f"{call.method} {path}: {error!r}") from error

    async def _exchanged(self, call: "_Call") -> aiohttp.ClientResponse:
        """Send `call`; once more with new credentials when the server says they are too old."""
        client = await self._opened()
        answer = await _exchange(client, call)
        if answer.status == 401 and await self._renew(client):
            answer.close()
            answer = await _exchange(client, call)
        return answer

    async def _send(self, call: "_Call") -> aiohttp.ClientResponse:
        """Send `call` and raise what a status of 400 or more means."""
        answer = await self._exchanged(call)
        if answer.status >= 400:
            async with answer:
                raise error_of(
                    answer.status,
                    answer.headers.get("Retry-After"),
                    await answer.read(),
                    f"{call.method} {call.path}",
                )
        return answer

    async def _opened(self) -> "ApiClient":
        async with self._opening:
            if self._client is None:
                await load_library()
                from kubernetes_asyncio.client import (  # noqa: PLC0415 - see the module's docstring
                    ApiClient,
                    Configuration,
                )

                configuration = Configuration()
                await self._configure(configuration)
                client = ApiClient(configuration)
                client.user_agent = self._user_agent
                self._client = client
            return self._client

    @property
    def _in_cluster(self) -> bool:
        return self._kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ

    async def _configure(self, configuration: "Configuration") -> None:
        from kubernetes_asyncio import config  # noqa: PLC0415 - see the module's docstring

        try:
            if self._in_cluster:
                config.load_incluster_config(  # type: ignore[no-untyped-call]  # theirs
                    client_configuration=configuration
                )
            else:
                await config.load_kube_config(
                    config_file=None if self._kubeconfig is None else str(self._kubeconfig),
                    client_configuration=configuration,
                    persist_config=False,
                )
        except (config.ConfigException, OSError, ValueError) as error:
            raise PermanentError(f"no way to the API server: {error}") from error

    async def _renew(self, client: "ApiClient") -> bool:
        """Read the kubeconfig's credentials again (cloud plug-ins' tokens live for minutes)."""
        if self._in_cluster:
            return False  # the library itself reads the service account's token every minute
        await self._configure(client.configuration)
        return True


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    """With its query."""
    within: aiohttp.ClientTimeout
    body: bytes | None = None
    content_type: str = JSON
    accept: str = f"{JSON}, */*"


async def load_library() -> None:
    """Load kubernetes_asyncio's second worth of modules, in a thread; quick when it was done."""
    await asyncio.to_thread(importlib.import_module, "kubernetes_asyncio.client")


def _limits(deadline: timedelta | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None if deadline is None else deadline.total_seconds(),
        sock_connect=CONNECT_DEADLINE.total_seconds(),
    )


def _with_query(path: str, query: Query) -> str:
    return f"{path}?{urlencode(query)}" if query else path


async def _exchange(client: "ApiClient", call: _Call) -> aiohttp.ClientResponse:
    # Compression would cost both ends more CPU than the wire inside a cluster is worth.
    headers = {
        **client.default_headers,
        "Accept": call.accept,
        "Accept-Encoding": "identity",
        "Content-Type": call.content_type,
    }
    await client.update_params_for_auth(headers, [], ["BearerToken"])
    answer: aiohttp.ClientResponse = await client.rest_client.request(
        call.method,
        f"{client.configuration.host}{call.path}",
        headers=headers,
        body=None if call.body is None else json.loads(call.body),
        _preload_content=False,
        _request_timeout=call.within,
    )
    return answer


class _Raiser(Protocol):
    def __call__(self, message: str, /) -> RunbookdError: ...


_BY_STATUS: Mapping[int, _Raiser] = {404: NotFoundError, 409: ConflictError, 410: GoneError}


def error_of(status: int, retry_after: str | None, body: bytes, what: str) -> RunbookdError:
    """Turn an answer of the API server with a status of 400 or more into the error to raise."""
    message = f"{what}: {status} {_said(body)}".rstrip()
    if status in (408, 429) or status >= 500:
        seconds = retry_after if retry_after is not None and retry_after.isdecimal() else None
        return TransientError(
            message, retry_after=None if seconds is None else timedelta(seconds=int(seconds))
        )
    return _BY_STATUS.get(status, PermanentError)(message)


def _said(body: bytes) -> str:
    """Return the message of a Status object, or the start of whatever else came."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if isinstance(status, dict) and isinstance(status.get("message"), str):
        return str(status["message"])
    return body[:200].decode(errors="replace")
