"""The API server's HTTP side: paths and verbs to the store, errors to Status objects."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from aiohttp import web

from tests.bed.cluster.interface import Fault, RequestSeen
from tests.bed.cluster.rest import AGENT
from tests.bed.cluster.simulated.addresses import Addresses
from tests.bed.cluster.simulated.api import Api, Target, read_path, verb_of
from tests.bed.cluster.simulated.faults import Audit, Faults
from tests.bed.cluster.simulated.kinds import POD, discovery
from tests.bed.cluster.simulated.kubelet import Kubelet
from tests.bed.cluster.simulated.objects import Obj
from tests.bed.cluster.simulated.status import ApiError
from tests.bed.cluster.simulated.store import Store
from tests.bed.cluster.simulated.watch import Lists, Query, watch

DISCOVERY = discovery()
BODY_BYTES = 3 * 1024 * 1024  # the API server's own limit


class ApiServer:
    """Serves one store."""

    def __init__(self, store: Store, kubelet: Kubelet, addresses: Addresses, audit: Audit) -> None:
        self._store = store
        self._kubelet = kubelet
        self._audit = audit
        self._api = Api(store, addresses)
        self._lists = Lists(store)
        self._faults = Faults()

    def application(self) -> web.Application:
        """Return the routes; /_... are the bed's own."""
        app = web.Application(client_max_size=BODY_BYTES)
        app.router.add_post("/_faults", self._add_fault)
        app.router.add_delete("/_faults", self._clear_faults)
        app.router.add_post("/_images", self._add_image)
        app.router.add_post("/_compact", self._compact)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _add_fault(self, request: web.Request) -> web.Response:
        self._faults.add(Fault(**await request.json()))
        return _json({})

    async def _clear_faults(self, _: web.Request) -> web.Response:
        self._faults.clear()
        return _json({})

    async def _add_image(self, request: web.Request) -> web.Response:
        image = await request.json()
        self._kubelet.images[image["reference"]] = image["argv"]
        return _json({})

    async def _compact(self, _: web.Request) -> web.Response:
        self._store.compact()
        return _json({})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            cut = await self._meet_faults(request)
            if request.path in {"/readyz", "/livez", "/healthz"}:
                return web.Response(text="ok")
            if request.path in DISCOVERY:
                return _json(DISCOVERY[request.path])
            target = read_path(request.path)
            response = await self._answer(request, target, cut)
        except ApiError as error:
            return _failure(error)
        if cut is not None and request.transport is not None:
            request.transport.abort()
        return response

    async def _meet_faults(self, request: web.Request) -> Fault | None:
        agent = request.headers.get("User-Agent", "")
        if agent == AGENT:
            return None
        verb = verb_of(request.method, request.path, request.query)
        self._audit.record(RequestSeen(verb, request.path, agent))
        return await self._faults.meet(verb, request.path)

    async def _answer(
        self, request: web.Request, target: Target, cut: Fault | None
    ) -> web.StreamResponse:
        match verb_of(request.method, request.path, request.query):
            case "watch":
                query = _query(request, target)
                return await _stream(request, watch(self._store, query), cut)
            case "get" if target.kind == POD and target.subresource == "log":
                return self._log(request, target)
            case "create":
                return _json(self._api.create(target, await _object(request)), 201)
            case verb:
                return _json(await self._object_or_list(request, target, verb))

    async def _object_or_list(self, request: web.Request, target: Target, verb: str) -> Obj:
        match verb:
            case "list":
                return self._lists.page(_query(request, target))
            case "get":
                return self._api.get(target)
            case "update":
                return self._api.update(target, await _object(request))
            case "patch":
                return self._api.patch(target, request.content_type, await _body(request))
            case "delete" if target.name:
                options = await _object(request) if request.can_read_body else {}
                given = {k: v for k, v in request.query.items() if k == "propagationPolicy"}
                if grace := request.query.get("gracePeriodSeconds"):
                    options["gracePeriodSeconds"] = int(grace)
                return self._api.delete(target, options | given)
            case _:
                raise ApiError(405, f"the server does not allow {verb} here")

    def _log(self, request: web.Request, target: Target) -> web.Response:
        pod = self._store.get(POD, target.namespace, target.name)
        text = self._kubelet.log(
            pod,
            request.query.get("container", ""),
            previous=request.query.get("previous") in {"1", "true", "True"},
        )
        if tail := request.query.get("tailLines"):
            lines = text.splitlines(keepends=True)
            text = "".join(lines[max(0, len(lines) - int(tail)) :])
        if limit := request.query.get("limitBytes"):
            text = text.encode()[: int(limit)].decode(errors="ignore")
        return web.Response(text=text)


def _query(request: web.Request, target: Target) -> Query:
    options = dict(request.query)
    if target.name:  # a watch on one object
        options["fieldSelector"] = f"metadata.name={target.name}"
    return Query(target.kind, target.namespace, options)


def _json(obj: Obj, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(obj), status=status, content_type="application/json"
    )


def _failure(error: ApiError) -> web.Response:
    response = _json(error.body, error.code)
    details = error.body["details"]
    if isinstance(details, dict) and "retryAfterSeconds" in details:
        response.headers["Retry-After"] = str(details["retryAfterSeconds"])
    return response


async def _body(request: web.Request) -> object:
    try:
        body: object = json.loads(await request.read())
    except ValueError as error:
        raise ApiError(400, f"the body could not be read: {error}") from error
    return body


async def _object(request: web.Request) -> Obj:
    body = await _body(request)
    if not isinstance(body, dict):
        raise ApiError(400, "the body must be an object")
    return body


async def _stream(
    request: web.Request, events: AsyncGenerator[Obj, None], cut: Fault | None
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    left = cut.cut_after if cut is not None else -1
    async with aclosing(events):
        async for event in events:
            line = msgspec.json.encode(event) + b"\n"
            if left == 0:
                await response.write(line[: len(line) // 2])
                break
            left -= 1
            await response.write(line)
    return response
