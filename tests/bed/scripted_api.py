"""An API server that answers from a script: faults that no honest server shows on demand."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gets."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    then: Literal["end", "hold", "abort"] = "end"
    """After the body: end it properly, keep the connection open and silent, or break it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that arrived."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


def event(kind: str, obj: object) -> bytes:
    """Return one line of a watch."""
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def bookmark(version: str, *, ends_listing: bool = False) -> bytes:
    """Return a bookmark; the one that ends a WatchList's listing carries an annotation."""
    meta: dict[str, object] = {"resourceVersion": version}
    if ends_listing:
        meta["annotations"] = {"k8s.io/initial-events-end": "true"}
    return event("BOOKMARK", {"metadata": meta})


def status(code: int, message: str = "") -> dict[str, object]:
    """Return a Status object as it comes in bodies and in ERROR events."""
    return {"kind": "Status", "status": "Failure", "code": code, "message": message}


def refusal(code: int, message: str = "", **headers: str) -> Answer:
    """Return an answer with an error's status."""
    return Answer(json.dumps(status(code, message)).encode(), code, headers)


class ScriptedApi:
    """Answers each request with the next of its script, and silence once that is used up."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: deque[Answer] = deque()
        self.url = ""
        self._over = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator["ScriptedApi"]:
        """Serve on loopback until the context ends."""
        api = cls()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", api._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield api
        finally:
            api._over.set()
            await runner.cleanup()

    def kubeconfig(self, root: Path) -> Path:
        """Write a kubeconfig that leads here."""
        path = root / "kubeconfig"
        path.write_text(
            json.dumps(
                {
                    "current-context": "here",
                    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
                    "clusters": [{"name": "here", "cluster": {"server": self.url}}],
                    "users": [{"name": "me", "user": {"token": "t0"}}],
                }
            )
        )
        return path

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append(Asked(request.path, dict(request.query), dict(request.headers), body))
        answer = self.script.popleft() if self.script else Answer(then="hold")
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        await response.prepare(request)
        await response.write(answer.body)
        if answer.then == "hold":
            await self._over.wait()
        elif answer.then == "abort" and request.transport is not None:
            request.transport.close()
        return response
