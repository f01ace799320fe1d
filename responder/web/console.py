"""The console: pages for people, put on the server beside the API."""

from aiohttp import web

from responder.domain.values import JsonObject
from responder.engine.engine import Engine
from responder.web.assets import Assets
from responder.web.auth import Authenticator
from responder.web.entrance import Entrance
from responder.web.frame import Frame, Page
from responder.web.incident_pages import IncidentPages
from responder.web.kpis import Kpis
from responder.web.live import Live
from responder.web.paper import Paper
from responder.web.run_pages import RunPages
from responder.web.sessions import Sessions


def add_console(
    app: web.Application, engine: Engine, authenticator: Authenticator, document: JsonObject
) -> None:
    """Add every page to `app`; `document` is the API's OpenAPI document."""
    assets = Assets()
    sessions = Sessions(engine.services, authenticator)
    frame = Frame(engine.services, sessions, assets)
    kpis = Kpis(engine.services)
    live = Live(engine.services, sessions)
    pages = (
        *Entrance(frame).pages(),
        *IncidentPages(frame, engine, kpis).pages(),
        *RunPages(frame, engine, kpis).pages(),
        *Paper(frame, document).pages(),
        Page("GET", "/events", "viewer", live.stream),
    )
    for page in pages:
        app.router.add_route(page.method, page.path, frame.guarded(page))
    app.router.add_get("/static/{name}", assets.serve)

    async def close_streams(_app: web.Application) -> None:
        await live.close()

    app.on_shutdown.append(close_streams)
