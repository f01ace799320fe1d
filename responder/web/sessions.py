"""Logins at the console: a token becomes a session, the session stands in a cookie.

The cookie holds a random id, when it ends, and a signature over both that is keyed with the token
itself. So a session ends with its token: when that is changed, removed, or given another role, it
counts at the next request. The store holds the id's hash, so that it can be ended from here too.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from exporter.shared.log import get_log
from responder.engine.services import Services
from responder.settings import Role
from responder.store.sessions import Session
from responder.web.auth import RANK, Authenticator

log = get_log(__name__)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is logged in."""

    name: str
    role: Role
    csrf: str
    """What every form of theirs must carry; no other page can know it."""
    session: str = ""
    """Id of the session as it is stored; empty where nobody has to log in."""

    def may(self, role: Role) -> bool:
        """Say whether they may do what `role` may."""
        return RANK[self.role] >= RANK[role]


class Sessions:
    """Begins, recognises and ends sessions."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services = services
        self._authenticator = authenticator
        self._own_key = secrets.token_bytes(32)  # where nobody logs in, forms are signed with this

    @property
    def lasting(self) -> timedelta:
        """How long a login lasts."""
        return self._services.settings.console.session

    @property
    def open_to_all(self) -> bool:
        """Whether nobody has to log in."""
        return self._authenticator.insecure

    async def begin(self, token: str) -> str | None:
        """Return the cookie of a new session; None for a token that nobody has, or no person.

        Raises RunbookdError when tokens cannot be read.
        """
        caller = self._authenticator.caller(f"Bearer {token}")
        if caller is None or caller.role == "alertmanager":
            return None
        now = self._services.now()
        number, until = secrets.token_urlsafe(24), int((now + self.lasting).timestamp())
        session = Session(_hashed(number), caller.name, now, datetime.fromtimestamp(until, UTC))
        async with self._services.store.transaction() as tx:
            await tx.sessions.begin(session)
        log.info("logged_in", name=caller.name, session=session.id[:12])
        signed = _signature(token.strip().encode(errors="surrogateescape"), number, str(until))
        return f"{number}.{until}.{signed}"

    async def visitor(self, cookie: str) -> Visitor | None:
        """Return whose session a cookie is; None when it is nobody's (any more).

        Raises RunbookdError when tokens or the store cannot be read.
        """
        if self._authenticator.insecure:
            return Visitor("anonymous", "operator", _csrf(self._own_key, ""))
        number, _, rest = cookie.partition(".")
        until, _, given = rest.partition(".")
        if not (number and until and given.isascii()):
            return None
        async with self._services.store.reading() as tx:
            session = await tx.sessions.get(_hashed(number), self._services.now())
        if session is None:
            return None
        for role, secret in self._authenticator.secrets_of(session.name):
            is_right = hmac.compare_digest(_signature(secret, number, until), given)
            if is_right and role != "alertmanager":
                return Visitor(session.name, role, _csrf(secret, number), session.id)
        return None

    async def end(self, session: str, by: str) -> bool:
        """End a session; False when there is none."""
        async with self._services.store.transaction() as tx:
            has_ended = await tx.sessions.end(session, by)
        log.info("session_ended", session=session[:12], by=by)
        return has_ended

    async def in_force(self, limit: int) -> list[Session]:
        """Return the sessions in force, newest first."""
        async with self._services.store.reading() as tx:
            return await tx.sessions.in_force(self._services.now(), limit)


def _hashed(number: str) -> str:
    return hashlib.sha256(number.encode(errors="surrogateescape")).hexdigest()


def _signature(key: bytes, number: str, until: str) -> str:
    said = f"session\0{number}\0{until}".encode(errors="surrogateescape")
    return hmac.new(key, said, hashlib.sha256).hexdigest()


def _csrf(key: bytes, number: str) -> str:
    said = f"csrf\0{number}".encode(errors="surrogateescape")
    return hmac.new(key, said, hashlib.sha256).hexdigest()
