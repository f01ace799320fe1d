"""What every page of the console shares: who looks, what they may, how it is rendered."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from exporter.shared.errors import PermanentError, RunbookdError, TransientError
from exporter.shared.log import get_log
from responder.engine.services import Services
from responder.settings import Role
from responder.web import guard, words
from responder.web.assets import Assets
from responder.web.kpis import figure
from responder.web.sessions import Sessions, Visitor
from responder.web.views import KillSwitchView

log = get_log(__name__)

COOKIE = "runbookd_session"
THEMES = ("dark", "light")


@dataclass(slots=True)
class Visit:
    """One request for a page."""

    request: web.Request
    visitor: Visitor | None = None
    """None on a page that is open to all, when nobody is logged in."""
    form: Mapping[str, str] = field(default_factory=dict)
    """Of a POST: the fields, stripped."""

    @property
    def name(self) -> str:
        """Return who looks; it goes to the timeline."""
        if self.visitor is None:
            raise PermanentError("nobody is logged in")
        return self.visitor.name


Handle = Callable[[Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Page:
    """One address of the console."""

    method: str
    path: str
    role: Role | None
    """Who may; None is open to all."""
    handle: Handle


class Frame:
    """Guards pages and renders them."""

    def __init__(self, services: Services, sessions: Sessions, assets: Assets) -> None:
        self.services = services
        self.sessions = sessions
        self._templates = Environment(
            loader=PackageLoader("responder.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= words.FILTERS
        self._templates.globals |= {"asset": assets.address, "figure": figure}

    @property
    def public_url(self) -> str:
        """Return how people reach this server."""
        return self.services.settings.public_url

    def guarded(self, page: Page) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return the handler of a page: who may not is sent to the login, or told so."""

        async def handle(request: web.Request) -> web.StreamResponse:
            visit = Visit(request)
            try:
                return await self._admit(visit, page)
            except web.HTTPRedirection:
                raise
            except web.HTTPException as error:
                return await self._refusal(visit, error.status, error.text or error.reason)
            except TransientError as error:
                # What is down, and where, is for those who may look at it.
                said = str(error) if visit.visitor else "something is down here; try again soon"
                return await self._refusal(visit, HTTPStatus.SERVICE_UNAVAILABLE, said)
            except PermanentError as error:
                return await self._refusal(visit, HTTPStatus.BAD_REQUEST, str(error))
            except RunbookdError as error:
                # It may be about a secret's file, which concerns the operator alone.
                log.warning("page_failed", path=request.path, error=str(error))
                said = "something is wrong here; the log says what"
                return await self._refusal(visit, HTTPStatus.INTERNAL_SERVER_ERROR, said)

        return handle

    async def page(
        self, visit: Visit, template: str, *, status: int = 200, **values: object
    ) -> web.Response:
        """Render a template for who looks."""
        theme = visit.request.cookies.get("theme", "")
        text = self._templates.get_template(template).render(
            visitor=visit.visitor,
            switch=await self._switch(visit),
            theme=theme if theme in THEMES else "",
            here=visit.request.path,
            now=self.services.now(),
            **values,
        )
        return web.Response(
            text=text, status=status, content_type="text/html", headers=guard.HEADERS
        )

    async def _admit(self, visit: Visit, page: Page) -> web.StreamResponse:
        request = visit.request
        if self.sessions.open_to_all and guard.is_rebound(request):
            raise web.HTTPForbidden(text=f"{request.host} is not this machine")
        visit.visitor = await self.sessions.visitor(request.cookies.get(COOKIE, ""))
        if page.role is not None:
            if visit.visitor is None:
                return await self._to_login(visit)
            if not visit.visitor.may(page.role):
                raise web.HTTPForbidden(
                    text=f"{visit.visitor.name} ({visit.visitor.role}) is not {page.role}"
                )
        if request.method == "POST":
            visit.form = await _form(request)
            if visit.visitor and page.role and not _is_ours(visit.form, visit.visitor):
                raise web.HTTPForbidden(text="the form is of another session; load its page anew")
        return await page.handle(visit)

    async def _to_login(self, visit: Visit) -> web.StreamResponse:
        request = visit.request
        if request.method != "GET":
            raise web.HTTPUnauthorized(text="the session has ended; log in and try again")
        # A link in a mail or a chat: the browser keeps a strict cookie back from the first
        # request. One step through a page of ours, and it comes along.
        from_elsewhere = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        way = "enter" if from_elsewhere else "login"
        raise web.HTTPSeeOther(f"/{way}?next={quote(request.path_qs, safe='')}")

    async def _refusal(self, visit: Visit, status: int, text: str) -> web.Response:
        title = words.title_of(status)
        return await self.page(visit, "error.html", status=status, text=text, title=title)

    async def _switch(self, visit: Visit) -> KillSwitchView | None:
        """Return the kill switch, for those who may see it; None also when it cannot be read."""
        if visit.visitor is None:
            return None
        try:
            async with self.services.store.reading() as tx:
                return KillSwitchView.of(await tx.switches.get("kill"))
        except RunbookdError:
            return None


async def _form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form; files are none of ours."""
    fields = await request.post()
    return {name: value.strip() for name, value in fields.items() if isinstance(value, str)}


def _is_ours(form: Mapping[str, str], visitor: Visitor) -> bool:
    return hmac.compare_digest(form.get("csrf", "").encode(), visitor.csrf.encode())
