"""The one table of the API's addresses."""

from responder.engine.engine import Engine
from responder.web.incidents_api import IncidentsApi
from responder.web.routing import Route
from responder.web.runs_api import RunsApi
from responder.web.sessions_api import SessionsApi


def routes(engine: Engine) -> tuple[Route, ...]:
    """Return every address with its handler."""
    return (
        *IncidentsApi(engine).routes(),
        *RunsApi(engine).routes(),
        *SessionsApi(engine.services).routes(),
    )
