import aiohttp
from aiohttp import web

from exporter.shared.http import Server, health_routes


async def test_ready_says_what_is_missing_and_the_port_that_was_bound_answers() -> None:
    missing = {"kubernetes/pods": "first listing is not complete"}
    app = web.Application()
    app.add_routes(health_routes(lambda: missing))
    server = await Server.start(app, "127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{server.url}/healthz") as answer:
                assert answer.status == 200
            async with session.get(f"{server.url}/readyz") as answer:
                assert answer.status == 503
                assert await answer.json() == {"ready": False, "missing": missing}
            missing.clear()
            async with session.get(f"{server.url}/readyz") as answer:
                assert answer.status == 200
    finally:
        await server.close()
