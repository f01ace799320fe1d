"""The exporter's pages. A scrape collects nothing: it gets what the schedule last brought."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from exporter.contract import OnDemand
from exporter.exposition.scrape import patience_of
from exporter.shared.http import health_routes

INDEX = """<!doctype html><html lang="en"><title>kpi-exporter</title><h1>kpi-exporter</h1><ul>
<li><a href="metrics">metrics</a><li><a href="healthz">healthz</a><li><a href="readyz">readyz</a>
<li><a href="debug/collectors">debug/collectors</a>
<li><a href="debug/events">debug/events</a></ul></html>"""


@dataclass(frozen=True, slots=True)
class Views:
    """What the pages show; but for the scrape each is quick and does no I/O."""

    scrape: Callable[[web.Request], Awaitable[web.StreamResponse]]
    """Answers /metrics."""
    missing: Callable[[], Mapping[str, str]]
    """What is not ready yet, with what it waits for."""
    records: Callable[[], Sequence[Mapping[str, object]]]
    """One record for each source."""
    shown: Callable[[str], Sequence[Mapping[str, object]]]
    """Rows that sources show on a topic."""
    probe: OnDemand | None = None
    """What answers /probe; this one does I/O."""


def build(views: Views) -> web.Application:
    """Return the application: /metrics, /probe, /healthz, /readyz, /debug/... and an index."""

    async def collectors(_request: web.Request) -> web.Response:
        return web.json_response({"sources": list(views.records())})

    async def events(_request: web.Request) -> web.Response:
        return web.json_response({"events": list(views.shown("events"))})

    async def probe(request: web.Request) -> web.Response:
        if views.probe is None:
            return web.Response(status=404, text="collector http_probe is not enabled\n")
        reply = await views.probe(request.query, patience_of(request))
        return web.Response(status=reply.status, text=reply.text)

    async def index(_request: web.Request) -> web.Response:
        return web.Response(text=INDEX, content_type="text/html")

    app = web.Application()
    app.add_routes(health_routes(views.missing))
    app.add_routes(
        [
            web.get("/", index),
            web.get("/metrics", views.scrape),
            web.get("/probe", probe),
            web.get("/debug/collectors", collectors),
            web.get("/debug/events", events),
        ]
    )
    return app
