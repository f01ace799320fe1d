"""The HTTP server's frame: binding, draining, health."""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Server:
    """A running HTTP server."""

    host: str
    port: int
    """The port that was bound, also where 0 was asked for."""
    runner: web.AppRunner
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Return the first base address, without a slash at the end."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """Return the base addresses, without a slash at the end."""
        bound = ((str(host), int(port)) for host, port, *_ in self.runner.addresses)
        return [
            f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{port}" for host, port in bound
        ]

    @classmethod
    async def start(
        cls,
        app: web.Application,
        host: str | None,
        port: int,
        *,
        also: Sequence[tuple[str | None, int]] = (),
        tls: ssl.SSLContext | None = None,
        drain: timedelta = timedelta(seconds=5),
    ) -> "Server":
        """Serve `app`. `drain` bounds how long open requests may take at `close`.

        Without a host every address of the machine is bound; `also` are more to bind. Raises
        OSError when one of them cannot be.
        """
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=drain.total_seconds())
        await runner.setup()
        try:
            for each_host, each_port in ((host, port), *also):
                await web.TCPSite(runner, each_host, each_port, ssl_context=tls).start()
        except OSError:
            await runner.cleanup()
            raise
        bound_host, bound_port, *_ = runner.addresses[0]
        return cls(str(bound_host), int(bound_port), runner, "https" if tls else "http")

    async def close(self) -> None:
        """Stop listening, let open requests finish, close the rest; safe twice."""
        await self.runner.cleanup()


def health_routes(missing: Callable[[], Mapping[str, str]]) -> list[web.RouteDef]:
    """Return /healthz (200 while the loop runs) and /readyz.

    `missing` returns what is not ready, with why; /readyz answers 503 and lists it as JSON, or 200.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_request: web.Request) -> web.Response:
        waiting = dict(missing())
        return web.json_response(
            {"ready": not waiting, "missing": waiting}, status=503 if waiting else 200
        )

    return [web.get("/healthz", healthz), web.get("/readyz", readyz)]
