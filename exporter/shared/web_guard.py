"""Guards an HTTP server as its web configuration file says, and follows the file while it runs."""

import asyncio
import hmac
import secrets
import ssl
from base64 import b64decode
from binascii import Error as Base64Error
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from typing_extensions import override

from exporter.shared.clock import Clock
from exporter.shared.config import ConfigError, Problem
from exporter.shared.log import get_log
from exporter.shared.web_config import RateLimit, WebConfig

REMEMBERED = 100
"""Answers of bcrypt that are kept, as exporter-toolkit does: one takes a tenth of a second."""

WAITING = 20
"""Most requests that wait for bcrypt, one after the other; more are told to come again."""

NOBODY = b"$2b$10$ngN3qImtLvWlkEqzeHdVv.rESHQkSkC3qNK9OCrex3/zVDbcKgUZS"
"""A hash for users that are not there, so that the time of an answer does not tell who is."""

LONGEST = 72
"""Bytes of a password that bcrypt looks at."""

_log = get_log(__name__)


class WebGuard:
    """The web configuration file at work.

    Users, headers and rate count from the next request, certificates from the next connection. A
    file that is wrong is told once, and what it said before holds.
    """

    def __init__(self, path: Path, clock: Clock, *, users: bool = True) -> None:
        """Read the file. Raises ConfigError, also for users where a server has its own."""
        self._path = path
        self._may_have_users = users
        self._config = self._read()
        self._seen = _signature(self._config)
        self._users = _Users()
        self._bucket = _Bucket(clock)

    @property
    def config(self) -> WebConfig:
        """Return what the file says by now; four looks at the disk when nothing changed."""
        seen = _signature(self._config)
        if seen != self._seen:
            self._seen = seen
            try:
                self._config = self._anew()
            except ConfigError as error:
                problems = [str(problem) for problem in error.problems]
                _log.error("web configuration not followed", problems=problems)
            else:
                self._seen = _signature(self._config)
                _log.info("web configuration followed", file=str(self._path))
        return self._config

    def _anew(self) -> WebConfig:
        """Read the file. Raises ConfigError, also for what a running server cannot follow."""
        config = self._read()
        if (config.tls is None) != (self._config.tls is None):
            told = "TLS cannot be switched on or off while it runs: restart it"
            raise ConfigError([Problem(str(self._path), 0, 0, told)])
        return config

    def _read(self) -> WebConfig:
        config = WebConfig.read(self._path)
        if config.file.basic_auth_users and not self._may_have_users:
            told = "basic_auth_users has no place here: this server's own settings say who may"
            raise ConfigError([Problem(str(self._path), 0, 0, told)])
        return config

    def tls(self) -> ssl.SSLContext | None:
        """Return a context that follows the file at each new connection; None without TLS."""
        first = self._config.tls
        if first is None:
            return None
        context = _Following(ssl.PROTOCOL_TLS_SERVER)
        context.of_now = lambda: self.config.tls or first
        return context

    def protect(self, app: web.Application) -> None:
        """Put the guard before everything that `app` does."""
        app.middlewares.insert(0, self._middleware())
        app.on_response_prepare.append(self._add_headers)

    def _middleware(self) -> Middleware:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            config = self.config
            if not self._bucket.allows(config.file.rate_limit):
                return web.Response(status=429, text="too many requests\n")
            if not _has_allowed_name(request, config):
                return web.Response(status=403, text="no name of this certificate is allowed\n")
            users = config.file.basic_auth_users
            if users:
                admitted = await self._users.admits(request.headers.get("Authorization", ""), users)
                if admitted is None:
                    return web.Response(status=503, headers={"Retry-After": "1"})
                if not admitted:
                    challenge = {"WWW-Authenticate": "Basic"}
                    return web.Response(status=401, text="Unauthorized\n", headers=challenge)
            return await handler(request)

        return guarded

    async def _add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        for name, text in self._config.file.http_server_config.headers.items():
            if text:
                response.headers[name] = text


class _Following(ssl.SSLContext):
    """Hands each connection to the context of the moment."""

    of_now: Callable[[], ssl.SSLContext]

    @override
    def wrap_bio(self, *args: object, **kwargs: object) -> ssl.SSLObject:
        return self.of_now().wrap_bio(*args, **kwargs)  # type: ignore[arg-type]  # as they came


class _Users:
    """Checks passwords in a thread, one at a time, and remembers the answers."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, bool] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def admits(self, authorization: str, users: dict[str, str]) -> bool | None:
        """Say whether a user and password are right; None: too many are waiting for that."""
        user, password = _credentials(authorization)
        if user is None:
            return False
        hashed = users[user].encode() if user in users else NOBODY
        parts = (user.encode(), hashed, password)
        key = hmac.digest(self._secret, b"".join(b"%d:%s" % (len(p), p) for p in parts), "sha256")
        if key not in self._known:
            if self._waiting >= WAITING:
                return None
            self._waiting += 1
            try:
                async with self._one_at_a_time:
                    if key not in self._known:
                        right = await asyncio.to_thread(_matches, password, hashed)
                        self._remember(key, right=right and user in users)
            finally:
                self._waiting -= 1
        self._known.move_to_end(key)
        return self._known[key]

    def _remember(self, key: bytes, *, right: bool) -> None:
        self._known[key] = right
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


class _Bucket:
    """The token bucket of `rate_limit`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens = 0.0
        self._at: float | None = None

    def allows(self, limit: RateLimit) -> bool:
        """Take a token, if there is one."""
        interval = limit.interval.total_seconds()
        if not interval:
            return True
        now = self._clock.monotonic()
        since = float("inf") if self._at is None else now - self._at
        self._at = now
        self._tokens = min(float(limit.burst), self._tokens + since / interval)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _signature(config: WebConfig) -> tuple[object, ...]:
    """Return what changes when one of the files is replaced, written or gone."""
    found: list[object] = []
    for path in config.watched:
        try:
            stat = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev))
    return tuple(found)


def _has_allowed_name(request: web.Request, config: WebConfig) -> bool:
    allowed = config.file.tls_server_config.client_allowed_sans
    if not allowed:
        return True
    certificate = request.get_extra_info("peercert") or {}
    return any(name in allowed for _, name in certificate.get("subjectAltName", ()))


def _credentials(authorization: str) -> tuple[str | None, bytes]:
    """Return user and password of a header (RFC 7617); no user where it holds none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None, b""
    try:
        user, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode() if colon else None), password
    except (Base64Error, ValueError):
        return None, b""


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:LONGEST], hashed)
    except ValueError:  # a hash that only looks like one
        return False
