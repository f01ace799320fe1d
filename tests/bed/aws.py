"""AWS on loopback: moto, and in front of it a place where faults can be put in."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self, cast

import aioboto3
import aiohttp
from aiohttp import web
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"
ACCOUNT = "123456789012"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "bed",
    "AWS_SECRET_ACCESS_KEY": "bed",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "",
    "AWS_SHARED_CREDENTIALS_FILE": "",
}
"""For processes and tests that are to speak to the bed, whatever the user is logged in to."""

HOP = {"connection", "content-encoding", "content-length", "transfer-encoding"}
"""Headers that belong to one connection, or to a body that was decoded on the way."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request gets instead of moto's answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    when: str = ""
    """It waits for a request whose path or body holds this text."""


class Aws:
    """An account of one's own; `url` is the endpoint of every service."""

    def __init__(self, moto: str) -> None:
        self.url = ""
        self.faults: deque[Fault] = deque()
        """The next requests that they are meant for get these, one each."""
        self.requests = 0
        self._moto = moto
        self._session: aiohttp.ClientSession | None = None
        self._open = AsyncExitStack()
        self._clients: dict[str, object] = {}

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[Self]:
        """Serve an empty account on loopback until the context ends."""
        moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        await asyncio.to_thread(moto.start)
        host, port = moto.get_host_and_port()
        aws = cls(f"http://{host}:{port}")
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", aws._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        aws.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aws._open, aiohttp.ClientSession() as session:
                aws._session = session
                yield aws
        finally:
            await runner.cleanup()
            await asyncio.to_thread(moto.stop)

    async def reset(self) -> None:
        """Empty the account."""
        self.faults.clear()
        self.requests = 0
        await self._post("/moto-api/reset", {})

    async def do(self, service: str, operation: str, **parameters: object) -> dict[str, object]:
        """Make one request to moto itself; for setting the scene."""
        if service not in self._clients:
            session = aioboto3.Session("bed", "bed", region_name=REGION)
            made = session.client(  # type: ignore[call-overload]  # services are data here
                service, endpoint_url=self._moto
            )
            self._clients[service] = await self._open.enter_async_context(made)
        answer: object = await getattr(self._clients[service], operation)(**parameters)
        return cast("dict[str, object]", answer)

    async def will_answer(self, subject: str, *results: object, region: str = REGION) -> None:
        """Queue answers for what moto does not work out itself (`ce/cost-and-usage-results`)."""
        body = {"account_id": ACCOUNT, "region": region, "results": results}
        await self._post(f"/moto-api/static/{subject}", body)

    async def _post(self, path: str, body: object) -> None:
        assert self._session is not None
        async with self._session.post(f"{self._moto}{path}", data=json.dumps(body)) as answer:
            answer.raise_for_status()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        self.requests += 1
        body = await request.read()
        asked = f"{request.path} {body.decode(errors='replace')}"
        for fault in self.faults:
            if fault.when in asked:
                self.faults.remove(fault)
                return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        async with self._session.request(
            request.method,
            f"{self._moto}{request.raw_path}",
            headers={k: v for k, v in request.headers.items() if k.lower() not in HOP},
            data=body,
        ) as answer:
            headers = {k: v for k, v in answer.headers.items() if k.lower() not in HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)
