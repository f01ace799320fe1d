"""The sample application's frontend: a page that shows what the backend knows."""

import html

import aiohttp
from aiohttp import web

PAGE = (
    """<!doctype html><html lang="en"><title>Tasks</title><h1>Tasks</h1><ul>{items}</ul></html>"""
)
TIMEOUT = aiohttp.ClientTimeout(total=2)


def create(backend: str) -> web.Application:
    """Return the application; `backend` is the base URL of task-manager."""

    async def index(_: web.Request) -> web.Response:
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as session,
                session.get(f"{backend}/tasks", raise_for_status=True) as answer,
            ):
                tasks = await answer.json()
        except (TimeoutError, aiohttp.ClientError):
            return web.Response(text="the backend does not answer", status=502)
        items = "".join(f"<li>{html.escape(task['title'])}" for task in tasks)
        return web.Response(text=PAGE.format(items=items), content_type="text/html")

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.add_routes([web.get("/", index), web.get("/health", health)])
    return app
