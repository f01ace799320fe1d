"""The HTTP server: routes, who may use them, and errors as JSON."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus
from importlib.metadata import version

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST

from exporter.shared.errors import PermanentError, RunbookdError, TransientError
from exporter.shared.log import get_log
from responder.engine.engine import Engine
from responder.settings import Role
from responder.web import guard, openapi
from responder.web.api import routes
from responder.web.auth import Authenticator
from responder.web.console import add_console
from responder.web.intake import Intake
from responder.web.routing import CALLER, Handler

log = get_log(__name__)

ALERTS = "/api/v1/alerts"
STORE_PATIENCE = timedelta(seconds=2)
"""How long `/readyz` and `/metrics` wait for the store: below a probe's 3 s and a scrape's 10 s."""

Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build(
    engine: Engine, intake: Intake, webhook: Handler, authenticator: Authenticator
) -> web.Application:
    """Return the application: everything that reads or changes something wants a token."""
    table = routes(engine)
    roles: dict[tuple[str, str], Role] = {("POST", ALERTS): "alertmanager"}
    public_url = engine.services.settings.public_url
    app = web.Application(
        middlewares=[_errors(), _from_here(public_url), _authenticated(authenticator, roles)]
    )
    for route in table:
        roles[route.method, route.path] = route.role
        app.router.add_route(route.method, route.path, route.handler)
    document = openapi.document(table, version("runbookd"))
    app.router.add_post(ALERTS, webhook)
    for path, answer in {
        "/openapi.json": lambda: _json(document),
        "/healthz": lambda: _healthy(engine, intake),
        "/readyz": lambda: _ready(engine, intake),
        "/metrics": lambda: _metrics(engine),
    }.items():
        app.router.add_get(path, _open(answer))
    add_console(app, engine, authenticator, document)
    return app


def _open(answer: Callable[[], Awaitable[web.Response]]) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return await answer()

    return handle


def _errors() -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Next) -> web.StreamResponse:
        """Answer every error as `{"error": …}` with the status that fits its class."""
        try:
            return await handler(request)
        except web.HTTPRedirection:
            raise  # with the cookies that it sets
        except web.HTTPException as error:
            return _error(error.status, error.text or error.reason, dict(error.headers))
        except TransientError as error:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except PermanentError as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))
        except RunbookdError as error:
            log.warning("request_failed", path=request.path, error=str(error))
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    return middleware


def _from_here(public_url: str) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Next) -> web.StreamResponse:
        """Refuse what a browser sends for a page of somebody else."""
        if guard.comes_from_elsewhere(request, public_url):
            return _error(HTTPStatus.FORBIDDEN, "this was sent from a page that is not ours")
        return await handler(request)

    return middleware


def _authenticated(authenticator: Authenticator, roles: dict[tuple[str, str], Role]) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Next) -> web.StreamResponse:
        """Let a request through when its token's role may; routes without a role are open."""
        resource = request.match_info.route.resource
        role = roles.get((request.method, resource.canonical if resource else ""))
        if role is None:
            return await handler(request)
        try:
            caller = authenticator.caller(request.headers.get("Authorization", ""))
        except RunbookdError as error:
            # Which file it is concerns the operator, not whoever asks.
            log.warning("tokens_unreadable", error=str(error))
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "tokens cannot be read; see the log")
        if caller is None:
            headers = {"WWW-Authenticate": 'Bearer realm="runbookd"'}
            return _error(HTTPStatus.UNAUTHORIZED, "a valid token is needed", headers)
        if not caller.may(role):
            return _error(HTTPStatus.FORBIDDEN, f"{caller.name} ({caller.role}) is not {role}")
        request[CALLER] = caller.name
        return await handler(request)

    return middleware


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    kept = {name: value for name, value in (headers or {}).items() if name != "Content-Type"}
    return web.json_response({"error": message}, status=status, headers=kept)


async def _json(document: object) -> web.Response:
    return web.json_response(document)


def _broken(engine: Engine, intake: Intake) -> list[str]:
    """Return which tasks have ended that never should; only a new process has them again."""
    return [*([] if intake.alive else ["intake"]), *engine.broken]


async def _healthy(engine: Engine, intake: Intake) -> web.Response:
    """Whether this process should live on: what is down around it is no reason to end it."""
    broken = _broken(engine, intake)
    if broken:
        return web.Response(text=f"ended: {', '.join(broken)}\n", status=503)
    return web.Response(text="ok")


async def _ready(engine: Engine, intake: Intake) -> web.Response:
    """Ready to take alerts: the store answers, and whoever stores them and works on them lives.

    An API server that is away changes nothing.
    """
    missing = [f"{name}: its task has ended" for name in _broken(engine, intake)]
    try:
        async with asyncio.timeout(STORE_PATIENCE.total_seconds()):
            await engine.services.store.ping()
    except TimeoutError:
        missing.append("store: no answer in time")
    except RunbookdError as error:
        missing.append(f"store: {error}")
    return web.json_response(
        {"ready": not missing, "missing": missing}, status=503 if missing else 200
    )


async def _metrics(engine: Engine) -> web.Response:
    """Answer also while the store is away, with what is known without it."""
    metrics = engine.services.metrics
    try:
        async with (
            asyncio.timeout(STORE_PATIENCE.total_seconds()),
            engine.services.store.reading() as tx,
        ):
            metrics.inbox_depth.set(await tx.inbox.depth())
            metrics.outbox_depth.set(await tx.outbox.depth())
            metrics.incidents_open.set(await tx.incidents.count_open())
        is_up = True
    except (RunbookdError, TimeoutError):
        is_up = False
    metrics.store_up.set(is_up)
    body = metrics.page(stored=is_up)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
