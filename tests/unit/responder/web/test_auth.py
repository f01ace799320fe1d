"""Who may do what, and who is let in without a token."""

import pytest

from responder.settings import Auth, Role
from responder.web.auth import Authenticator, Caller

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
