"""The exporter's pages. A scrape collects nothing: it gets what the schedule last brought."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from exporter.contract import OnDemand
from exporter.exposition.scrape import patience_of
from exporter.shared.http import health_routes

INDEX = """<!doctype html><html lang="en"><title>kpi-exporter</title><h1>kpi-exporter</h1><ul>
<li><a href="{metrics}">metrics</a><li><a href="healthz">healthz</a><li><a href="readyz">readyz</a>
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
    probe: Callable[[], OnDemand | None]
    """What answers /probe by now; this one does I/O."""
    reload: Callable[[], Awaitable[Sequence[str]]] | None
    """Reads the settings anew and returns what is wrong with them; None: not over HTTP."""


def build(views: Views, metrics_path: str = "/metrics") -> web.Application:
    """Return the application: metrics, /probe, /healthz, /readyz, /debug/..., /-/reload, an index.

    Paths are Prometheus' own and blackbox_exporter's.
    """
    app = web.Application()
    app.add_routes(health_routes(views.missing))
    app.add_routes([web.get(metrics_path, views.scrape), *_pages(views, metrics_path)])
    app.add_routes(_lifecycle(views))
    return app


def _pages(views: Views, metrics_path: str) -> list[web.RouteDef]:
    async def collectors(_request: web.Request) -> web.Response:
        return web.json_response({"sources": list(views.records())})

    async def events(_request: web.Request) -> web.Response:
        return web.json_response({"events": list(views.shown("events"))})

    async def probe(request: web.Request) -> web.Response:
        answer = views.probe()
        if answer is None:
            return web.Response(status=404, text="collector http_probe is not enabled\n")
        reply = await answer(request.query, patience_of(request))
        return web.Response(status=reply.status, text=reply.text)

    async def index(_request: web.Request) -> web.Response:
        text = INDEX.format(metrics=metrics_path.removeprefix("/"))
        return web.Response(text=text, content_type="text/html")

    return [
        web.get("/", index),
        web.get("/probe", probe),
        web.get("/debug/collectors", collectors),
        web.get("/debug/events", events),
    ]


def _lifecycle(views: Views) -> list[web.RouteDef]:
    async def reload(_request: web.Request) -> web.Response:
        if views.reload is None:
            text = (
                "not enabled: set web.enable_lifecycle or --web.enable-lifecycle, or send SIGHUP\n"
            )
            return web.Response(status=403, text=text)
        problems = await views.reload()
        if problems:
            text = "".join(f"{problem}\n" for problem in ("settings not followed:", *problems))
            return web.Response(status=500, text=text)
        return web.Response(text="")

    return [web.post("/-/reload", reload), web.put("/-/reload", reload)]
