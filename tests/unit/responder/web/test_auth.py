"""Who may do what, and who is let in without a token."""

import itertools
import os
from pathlib import Path

import pytest

from exporter.shared.errors import RunbookdError
from responder.settings import Auth, Role, Token
from responder.web.auth import GLANCE, Authenticator, Caller
from tests.fake_clients import FakeClock

ROLES: tuple[Role, ...] = ("alertmanager", "viewer", "operator", "admin")
MAY: dict[Role, set[Role]] = {
    "alertmanager": {"alertmanager"},
    "viewer": {"viewer"},
    "operator": {"viewer", "operator"},
    "admin": {"viewer", "operator", "admin"},
}


@pytest.mark.parametrize("role", ROLES)
def test_a_caller_may_what_lesser_people_may_and_webhooks_are_for_their_senders_alone(
    role: Role,
) -> None:
    caller = Caller("somebody", role)
    assert {each for each in ROLES if caller.may(each)} == MAY[role]


def test_without_any_token_a_loopback_delivers_and_operates_but_is_no_admin() -> None:
    assert Authenticator(Auth()).caller("") is None
    caller = Authenticator(Auth(), insecure=True).caller("")
    assert caller is not None
    assert {each for each in ROLES if caller.may(each)} == {"alertmanager", "viewer", "operator"}


def test_a_new_token_counts_at_once_and_an_old_one_for_another_second(tmp_path: Path) -> None:
    file, clock = tmp_path / "token", FakeClock()
    written = itertools.count(1)

    def write(token: str) -> None:
        file.write_text(token)
        os.utime(file, (0, next(written)))  # the file system's own times move in larger steps

    write("one")
    tokens = (Token(name="ann", role="viewer", token_file=file),)
    known = Authenticator(Auth(tokens=tokens), clock=clock)
    ann = Caller("ann", "viewer")
    assert known.caller("Bearer one") == ann
    write("two")
    assert known.caller("Bearer one") == ann
    clock.advance(GLANCE.total_seconds())
    assert known.caller("Bearer one") is None
    assert known.caller("Bearer two") == ann
    write("three")
    assert known.caller("Bearer three") == ann
    assert known.caller("Bearer two") is None


def test_a_secret_that_is_emptied_lets_nobody_in_not_even_within_the_second(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    tokens = (Token(name="ann", role="admin", token_file=file),)
    known = Authenticator(Auth(tokens=tokens), clock=FakeClock())
    assert known.caller("Bearer one") == Caller("ann", "admin")
    file.write_text("")
    os.utime(file, (0, 1))
    for header in ("Bearer two", "Bearer", "Bearer "):
        with pytest.raises(RunbookdError, match="is empty"):
            known.caller(header)


def test_a_session_never_goes_by_an_old_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    tokens = (Token(name="ann", role="viewer", token_file=file),)
    known = Authenticator(Auth(tokens=tokens), clock=FakeClock())
    assert known.caller("Bearer one") is not None
    file.write_text("two")
    os.utime(file, (0, 1))
    assert known.secrets_of("ann") == [("viewer", b"two")]
