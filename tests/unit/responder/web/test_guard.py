import pytest
from aiohttp.test_utils import make_mocked_request

from responder.web import guard

PUBLIC = "https://ops.example"


@pytest.mark.parametrize(
    ("method", "headers", "elsewhere"),
    [
        ("POST", {}, False),  # a program
        ("POST", {"Sec-Fetch-Site": "same-origin"}, False),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, True),
        ("POST", {"Sec-Fetch-Site": "same-site"}, True),
        ("DELETE", {"Origin": "https://evil.example"}, True),
        ("PUT", {"Origin": "null"}, True),
        ("POST", {"Origin": "http://10.0.0.1:9843"}, False),
        ("POST", {"Origin": "https://ops.example"}, False),
        ("POST", {"Origin": "https://door.example", "X-Forwarded-Host": "door.example"}, False),
        ("GET", {"Sec-Fetch-Site": "cross-site"}, False),  # it changes nothing
    ],
)
def test_what_a_browser_sends_for_another_page_is_known_by_its_headers(
    method: str, headers: dict[str, str], *, elsewhere: bool
) -> None:
    request = make_mocked_request(method, "/", headers={"Host": "10.0.0.1:9843", **headers})
    assert guard.comes_from_elsewhere(request, PUBLIC) is elsewhere


@pytest.mark.parametrize(
    ("host", "rebound"),
    [
        ("127.0.0.1:9843", False),
        ("localhost:9843", False),
        ("[::1]:9843", False),
        ("evil.example:9843", True),
        ("127.0.0.1.evil.example", True),
        ("[", True),
    ],
)
def test_a_name_that_leads_to_loopback_is_not_taken_for_it(host: str, *, rebound: bool) -> None:
    request = make_mocked_request("GET", "/", headers={"Host": host})
    assert guard.is_rebound(request) is rebound


@pytest.mark.parametrize(
    ("headers", "public_url", "secure"),
    [
        ({}, "http://10.0.0.1", False),
        ({"X-Forwarded-Proto": "https"}, "http://10.0.0.1", True),
        ({"X-Forwarded-Proto": "https, http"}, "http://10.0.0.1", True),
        ({"X-Forwarded-Proto": "http"}, "http://10.0.0.1", False),
        ({}, PUBLIC, True),
    ],
)
def test_tls_is_known_by_the_proxy_or_by_the_public_address(
    headers: dict[str, str], public_url: str, *, secure: bool
) -> None:
    assert guard.is_secure(make_mocked_request("GET", "/", headers=headers), public_url) is secure
