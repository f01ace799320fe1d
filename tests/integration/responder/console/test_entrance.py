"""Who gets in, what they may, and what a page elsewhere cannot do in their name."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape

import aiohttp
import pytest
from yarl import URL

from tests.integration.responder.console.conftest import TARGET, Console

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]

OPERATOR, VIEWER, ADMIN = "oncall", "console", "lead"
PAGES = ("/", "/run", "/open", "/kill-switch", "/docs", "/guides/KpiErrorRatioHigh", "/login")
HIDDEN = re.compile(r'name="(csrf|nonce)" value="([^"]+)"')


@dataclass
class Person:
    """Somebody with a browser that does only what it is told."""

    web: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.web.get(path, headers=headers, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location") or await answer.text()

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> tuple[int, str]:
        async with self.web.post(
            path, data=fields, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers.get("Location") or await answer.text()

    async def hidden(self, path: str) -> dict[str, str]:
        """Return the hidden fields of a page's forms."""
        return dict(HIDDEN.findall((await self.get(path))[1]))

    async def log_in(self, token: str, **more: str) -> tuple[int, str]:
        nonce = (await self.hidden("/login"))["nonce"]
        return await self.post("/login", {"nonce": nonce, "token": token, **more})


@asynccontextmanager
async def person(console: Console, name: str = "") -> AsyncIterator[Person]:
    jar = aiohttp.CookieJar(unsafe=True)  # of an address without a name
    async with aiohttp.ClientSession(console.url, cookie_jar=jar) as web:
        one = Person(web)
        if name:
            assert (await one.log_in(console.alone.places.token(name)))[0] == 303
        yield one


async def test_who_is_not_logged_in_is_asked_and_then_led_on(console: Console) -> None:
    async with person(console) as one:
        wanted = "/run/plan?what=action:restart&target=x"
        status, where = await one.get(wanted)
        assert (status, URL(where).path, URL(where).query["next"]) == (303, "/login", wanted)
        _, page = await one.get(where)
        assert f'name="next" value="{escape(wanted)}"' in page
        token = console.alone.places.token(OPERATOR)
        assert await one.log_in(token, next=wanted) == (303, wanted)
        assert (await one.get("/"))[0] == 200


@pytest.mark.parametrize("address", ["//evil.example/", "/\\evil.example", "https://evil.example"])
async def test_a_login_leads_nowhere_else(console: Console, address: str) -> None:
    async with person(console) as one:
        token = console.alone.places.token(OPERATOR)
        assert await one.log_in(token, next=address) == (303, "/")


async def test_a_link_from_elsewhere_goes_through_a_page_of_ours(console: Console) -> None:
    async with person(console) as one:
        headers = {"Sec-Fetch-Site": "cross-site"}
        status, where = await one.get("/incidents/INC-7", **headers)
        assert (status, URL(where).path) == (303, "/enter")
        _, page = await one.get(where)
        assert 'content="0;url=/incidents/INC-7"' in page


@pytest.mark.parametrize("who", ["alertmanager", ""])
async def test_only_a_persons_token_opens_a_session(console: Console, who: str) -> None:
    token = console.alone.places.token(who) if who else "wrong"
    async with person(console) as one:
        status, page = await one.log_in(token)
        assert status == 401
        assert "No person has this token." in page


async def test_a_login_form_of_another_page_logs_nobody_in(console: Console) -> None:
    token = console.alone.places.token(OPERATOR)
    async with person(console) as one:
        await one.get("/login")
        assert (await one.post("/login", {"nonce": "made-up", "token": token}))[0] == 403


@pytest.mark.parametrize(("forwarded", "secure"), [("http", ""), ("https", "secure")])
async def test_the_cookie_is_for_our_pages_alone(
    console: Console, forwarded: str, secure: str
) -> None:
    async with person(console) as one:
        nonce = (await one.hidden("/login"))["nonce"]
        fields = {"nonce": nonce, "token": console.alone.places.token(OPERATOR)}
        headers = {"X-Forwarded-Proto": forwarded}
        async with one.web.post(
            "/login", data=fields, headers=headers, allow_redirects=False
        ) as answer:
            cookie = answer.cookies["runbookd_session"]
    assert cookie["httponly"] is True
    assert (cookie["samesite"], cookie["path"]) == ("Strict", "/")
    assert int(cookie["max-age"]) > 0
    assert bool(cookie["secure"]) is bool(secure)


async def test_a_cookie_that_was_changed_or_ended_is_nobodys(console: Console) -> None:
    async with person(console, OPERATOR) as one, person(console) as thief:
        (cookie,) = [each for each in one.web.cookie_jar if each.key == "runbookd_session"]
        number, until, signature = cookie.value.split(".")

        async def shown(value: str) -> bool:
            return (await thief.get("/", Cookie=f"runbookd_session={value}"))[0] == 200

        later = f"{number}.{int(until) + 3600}.{signature}"
        for value in (
            later,
            f"{number}.{until}.{'0' * 64}",
            f"{number}.{until}",
            "x",
            "..",
            "\xe9",
        ):
            assert not await shown(value), value
        assert await shown(cookie.value)
        assert await one.post("/logout", await one.hidden("/")) == (303, "/login")
        assert not await shown(cookie.value)


async def test_a_session_ends_when_its_token_is_changed(console: Console) -> None:
    places = console.alone.places
    file = places.token_file(VIEWER)
    async with person(console, VIEWER) as one:
        try:
            file.write_text("another")
            assert (await one.get("/"))[0] == 303
        finally:
            places.token_file(VIEWER)


async def test_an_admin_sees_who_is_logged_in_and_ends_it(console: Console) -> None:
    async with person(console, VIEWER) as viewer, person(console, ADMIN) as admin:
        _, page = await admin.get("/sessions")
        mine, *_ = re.findall(
            r'action="(/sessions/\w+/end)"[^>]*>[^<]*<input[^>]*>[^<]*<button '
            rf'aria-label="End the session of {VIEWER}"',
            page,
        )
        assert (await viewer.post(mine, await viewer.hidden("/")))[0] == 403
        assert (await viewer.get("/"))[0] == 200
        assert await admin.post(mine, await admin.hidden("/")) == (303, "/sessions")
        assert (await viewer.get("/"))[0] == 303


async def test_sessions_are_listed_and_ended_over_the_api_by_admins_alone(
    console: Console,
) -> None:
    call = console.alone.call
    async with person(console, VIEWER) as viewer:
        assert (await call("GET", "/api/v1/sessions", who=OPERATOR))[0] == 403
        _, found = await call("GET", "/api/v1/sessions", who=ADMIN)
        assert isinstance(found, list)
        newest = found[0]
        assert isinstance(newest, dict)
        assert newest["name"] == VIEWER
        path = f"/api/v1/sessions/{newest['id']}"
        assert (await call("DELETE", path, who=ADMIN))[0] == 200
        assert (await call("DELETE", path, who=ADMIN))[0] == 404
        assert (await viewer.get("/"))[0] == 303


async def test_a_form_must_be_of_the_same_session(console: Console) -> None:
    incident = await console.report("is anybody there")
    path = f"/incidents/{incident['id']}/ack"
    async with person(console, OPERATOR) as one, person(console, OPERATOR) as other:
        assert (await one.post(path, {}))[0] == 403
        assert (await one.post(path, await other.hidden("/")))[0] == 403
        own = await one.hidden("/")
        for header in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            assert (await one.post(path, own, **header))[0] == 403
        own_page = {"Sec-Fetch-Site": "same-origin", "Origin": console.url}
        assert (await one.post(path, own, **own_page))[0] == 303
    await console.resolve(incident)


async def test_a_page_elsewhere_cannot_use_the_api(console: Console) -> None:
    token = console.alone.places.token(OPERATOR)
    headers = {"Authorization": f"Bearer {token}", "Origin": "https://evil.example"}
    async with (
        aiohttp.ClientSession(console.url, headers=headers) as web,
        web.put("/api/v1/kill-switch", json={"on": True}) as answer,
    ):
        assert answer.status == 403


async def test_a_viewer_is_offered_nothing_and_gets_nothing(console: Console) -> None:
    incident = await console.report("look but do not touch", target=TARGET)
    own = f"/incidents/{incident['id']}"
    async with person(console, VIEWER) as viewer:
        for path in ("/", own, "/kill-switch"):
            status, page = await viewer.get(path)
            forms = re.findall(r'action="([^"]+)"', page)
            assert (status, forms) == (200, ["/logout"])
            assert 'href="/run' not in page
            assert 'href="/open"' not in page
        fields = await viewer.hidden("/")
        acts = (f"{own}/{verb}" for verb in ("ack", "hold", "resume", "resolve", "decisions"))
        for path in (*acts, "/run", "/kill-switch", "/open"):
            assert (await viewer.post(path, fields))[0] == 403
        assert (await viewer.get(f"/run/plan?what=action:restart&target={TARGET}"))[0] == 403
        assert (await viewer.get("/sessions"))[0] == 403
    await console.resolve(incident)


async def test_every_page_forbids_what_is_inline_or_from_elsewhere(console: Console) -> None:
    async with person(console, OPERATOR) as one:
        for path in PAGES:
            async with one.web.get(path) as answer:
                page, policy = await answer.text(), answer.headers["Content-Security-Policy"]
            assert answer.status == 200, path
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page), path
            assert not re.search(r'(src|href|action)="(https?:)?//', page), path


async def test_text_from_outside_is_text(console: Console) -> None:
    evil = "<img src=x onerror=alert(1)>"
    incident = await console.report(evil, note=evil)
    async with person(console, OPERATOR) as one:
        for path in ("/", f"/incidents/{incident['id']}", f"/incidents/{incident['id']}/report"):
            _, page = await one.get(path)
            assert "<img" not in page
            assert "&lt;img src=x onerror=alert(1)&gt;" in page
        _, page = await one.get("/run/plan?what=action:<b>x&target=<b>")
        assert "<b>" not in page
    await console.resolve(incident)


async def test_a_script_is_kept_for_ever_under_an_address_of_its_content(console: Console) -> None:
    async with person(console) as one:
        _, page = await one.get("/login")
        (address,) = re.findall(r'src="(/static/console.js\?v=\w+)"', page)
        async with one.web.get(address) as answer:
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.content_type == "text/javascript"
        assert (await one.get("/static/console.js?v=old"))[0] == 200
        assert (await one.get("/static/..%2fserver.py"))[0] == 404
