"""Logging in and out, and who is logged in."""

import hmac
import secrets

from aiohttp import web

from responder.web import guard
from responder.web.frame import COOKIE, Frame, Page, Visit

NONCE = "runbookd_login"
"""Cookie that the login form must repeat, so that no other page can log somebody in."""

MOST = 200
"""Sessions in one list."""

LONGEST_ADDRESS = 2000


class Entrance:
    """The pages before and around all others."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._sessions = frame.sessions

    def pages(self) -> tuple[Page, ...]:
        """Return every address with its handler."""
        return (
            Page("GET", "/login", None, self.form),
            Page("POST", "/login", None, self.login),
            Page("GET", "/enter", None, self.enter),
            Page("POST", "/logout", "viewer", self.logout),
            Page("GET", "/sessions", "admin", self.sessions),
            Page("POST", "/sessions/{id}/end", "admin", self.end),
        )

    async def form(self, visit: Visit) -> web.StreamResponse:
        """Ask for a token."""
        return await self._ask(visit)

    async def login(self, visit: Visit) -> web.StreamResponse:
        """Begin a session; a token that nobody has is asked for again."""
        given = visit.request.cookies.get(NONCE, "").encode(errors="surrogateescape")
        if not given or not hmac.compare_digest(given, visit.form.get("nonce", "").encode()):
            return await self._ask(visit, "The form was too old. Try again.", status=403)
        cookie = await self._sessions.begin(visit.form.get("token", ""))
        if cookie is None:
            return await self._ask(visit, "No person has this token.", status=401)
        answer = web.HTTPSeeOther(_within(visit.form.get("next", "")))
        answer.del_cookie(NONCE, path="/login")
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(self._sessions.lasting.total_seconds()),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=guard.is_secure(visit.request, self._frame.public_url),
        )
        raise answer

    async def enter(self, visit: Visit) -> web.StreamResponse:
        """Go on to where a link from elsewhere led; by now the browser sends the cookie."""
        wanted = _within(visit.request.query.get("next", ""))
        return await self._frame.page(visit, "enter.html", wanted=wanted)

    async def logout(self, visit: Visit) -> web.StreamResponse:
        """End the session, here and in the browser."""
        if visit.visitor and visit.visitor.session:
            await self._sessions.end(visit.visitor.session, visit.name)
        answer = web.HTTPSeeOther("/login")
        answer.del_cookie(COOKIE, path="/")
        raise answer

    async def sessions(self, visit: Visit) -> web.StreamResponse:
        """Show who is logged in."""
        found = await self._sessions.in_force(MOST)
        return await self._frame.page(visit, "sessions.html", sessions=found)

    async def end(self, visit: Visit) -> web.StreamResponse:
        """End somebody's session."""
        await self._sessions.end(visit.request.match_info["id"], visit.name)
        raise web.HTTPSeeOther("/sessions")

    async def _ask(self, visit: Visit, problem: str = "", status: int = 200) -> web.Response:
        if self._sessions.open_to_all:
            raise web.HTTPSeeOther("/")
        nonce = secrets.token_urlsafe(24)
        wanted = _within(visit.form.get("next") or visit.request.query.get("next", ""))
        answer = await self._frame.page(
            visit, "login.html", status=status, nonce=nonce, wanted=wanted, problem=problem
        )
        answer.set_cookie(
            NONCE,
            nonce,
            path="/login",
            httponly=True,
            samesite="Strict",
            secure=guard.is_secure(visit.request, self._frame.public_url),
        )
        return answer


def _within(address: str) -> str:
    """Return an address of ours; anything that could lead elsewhere becomes the first page."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\"))
    is_plain = address.isprintable() and len(address) <= LONGEST_ADDRESS
    return address if is_ours and is_plain else "/"
