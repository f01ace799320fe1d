"""The API's handlers about logins at the console."""

from aiohttp import web

from responder.engine.services import Services
from responder.web import views
from responder.web.routing import CALLER, Route, answer

MOST = 200
"""Sessions in one list."""


class SessionsApi:
    """The handlers over one store."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> tuple[Route, ...]:
        """Return every address with its handler."""
        return (
            Route(
                "GET",
                "/api/v1/sessions",
                "admin",
                "Who is logged in at the console, newest first.",
                self.sessions,
                list[views.SessionView],
            ),
            Route(
                "DELETE",
                "/api/v1/sessions/{id}",
                "admin",
                "End a session before its time.",
                self.end,
                views.SessionView,
            ),
        )

    async def sessions(self, _request: web.Request) -> web.Response:
        """List the sessions in force."""
        async with self._services.store.reading() as tx:
            found = await tx.sessions.in_force(self._services.now(), MOST)
        return answer([views.SessionView.of(session) for session in found])

    async def end(self, request: web.Request) -> web.Response:
        """End one."""
        wanted = request.match_info["id"]
        async with self._services.store.transaction() as tx:
            session = await tx.sessions.get(wanted, self._services.now())
            if session is None:
                raise web.HTTPNotFound(text=f"there is no session {wanted}")
            await tx.sessions.end(wanted, request[CALLER])
        return answer(views.SessionView.of(session))
