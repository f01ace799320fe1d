"""Who calls: bearer tokens and basic users from files, compared in constant time."""

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from exporter.shared.clock import Clock, SystemClock
from exporter.shared.errors import RunbookdError
from responder.settings import Auth, Role

RANK: dict[Role, int] = {"alertmanager": 0, "viewer": 1, "operator": 2, "admin": 3}

GLANCE = timedelta(seconds=1)
"""How long what was read of a secret's file lets somebody in without another look at it: webhooks
come by the thousand a second, and the files are several."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request; the name goes to the timeline."""

    name: str
    role: Role
    may_deliver: bool = False
    """Whether webhooks are taken from a caller of another role, too."""

    def may(self, role: Role) -> bool:
        """Say whether the caller may use what `role` may: webhooks are for their senders alone."""
        if role == "alertmanager":
            return self.role == role or self.may_deliver
        return self.role != "alertmanager" and RANK[self.role] >= RANK[role]


@dataclass(slots=True)
class SecretFile:
    """A file's stripped content, read again when the file changes."""

    path: Path
    _stamp: tuple[int, int] = (0, 0)
    _content: bytes = b""
    _looked_at: float = float("-inf")

    def read(self, now: float, age: timedelta = timedelta(0)) -> bytes:
        """Return the secret as it was no longer than `age` before `now`, by the monotonic clock.

        Raises RunbookdError when it cannot be read or is empty.
        """
        if now - self._looked_at < age.total_seconds():
            return self._content
        self._looked_at = float("-inf")  # until it is known to hold something
        try:
            stat = self.path.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp != self._stamp:
                self._content, self._stamp = self.path.read_bytes().strip(), stamp
        except OSError as error:
            raise RunbookdError(f"a secret cannot be read: {error}") from error
        if not self._content:
            raise RunbookdError(f"the secret in {self.path} is empty")
        self._looked_at = now
        return self._content


@dataclass(slots=True)
class Authenticator:
    """Knows every caller. Without one it lets nobody in, unless `insecure` lets everybody."""

    auth: Auth
    insecure: bool = False
    clock: Clock = field(default_factory=SystemClock)
    _secrets: dict[Path, SecretFile] = field(default_factory=dict)

    def check_secrets(self) -> None:
        """Read every secret once. Raises RunbookdError naming the first that is not to be had."""
        for token in self.auth.tokens:
            self._secret(token.token_file)
        for user in self.auth.basic:
            self._secret(user.password_file)

    def caller(self, authorization: str) -> Caller | None:
        """Return who the `Authorization` header belongs to, or None.

        Every secret is compared each time, so that the time taken tells nothing. A new secret
        counts at once, an old one for another `GLANCE`.
        """
        if self.insecure:
            return Caller("anonymous", "operator", may_deliver=True)
        return self._caller(authorization, GLANCE) or self._caller(authorization, timedelta(0))

    def _caller(self, authorization: str, age: timedelta) -> Caller | None:
        scheme, _, given = authorization.partition(" ")
        found: Caller | None = None
        token_given = given.strip().encode(errors="surrogateescape")  # bytes as they came
        if scheme.lower() == "bearer":
            for token in self.auth.tokens:
                if hmac.compare_digest(self._secret(token.token_file, age), token_given):
                    found = Caller(token.name, token.role)
        elif scheme.lower() == "basic":
            username, password = _basic(given)
            for user in self.auth.basic:
                right = hmac.compare_digest(self._secret(user.password_file, age), password)
                if right and hmac.compare_digest(user.username.encode(), username):
                    found = Caller(user.username, user.role)
        return found

    def secrets_of(self, name: str) -> list[tuple[Role, bytes]]:
        """Return role and secret of the tokens of this name, as they are now; none: it is gone."""
        return [
            (token.role, self._secret(token.token_file))
            for token in self.auth.tokens
            if token.name == name
        ]

    def _secret(self, path: Path, age: timedelta = timedelta(0)) -> bytes:
        file = self._secrets.setdefault(path, SecretFile(path))
        return file.read(self.clock.monotonic(), age)


def _basic(given: str) -> tuple[bytes, bytes]:
    """Decode `base64(user:password)`; what cannot be decoded belongs to nobody."""
    try:
        username, _, password = base64.b64decode(given, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return b"", b""
    return username, password
