"""The stream of events: bounded, ended with its session, and not needed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Route, expect

from exporter.shared.clock import SystemClock
from responder.domain.values import JsonObject
from responder.web.live import MOST
from tests.bed import responder as beds
from tests.bed.process import wait_until
from tests.integration.responder.console.conftest import Console
from tests.integration.responder.console.test_browser import looking
from tests.integration.responder.console.test_entrance import ADMIN, VIEWER, person

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]


@dataclass
class Stream:
    """An open stream."""

    answer: aiohttp.ClientResponse

    async def next(self, event: str) -> JsonObject:
        """Return the data of the next event of this name."""
        async with asyncio.timeout(20):
            while (await self.answer.content.readline()).strip() != f"event: {event}".encode():
                if self.answer.content.at_eof():
                    raise EOFError
            line = await self.answer.content.readline()
        found: JsonObject = json.loads(line.removeprefix(b"data: "))
        return found

    async def ended(self) -> bool:
        """Wait for the end of the stream."""
        async with asyncio.timeout(30):
            await self.answer.content.read()
        return True


@asynccontextmanager
async def listening(web_: aiohttp.ClientSession) -> AsyncIterator[Stream]:
    async with web_.get("/events") as answer:
        assert answer.content_type == "text/event-stream", await answer.text()
        assert (await answer.content.readline()).startswith(b"retry:")
        yield Stream(answer)


async def test_more_listeners_than_may_are_turned_away_and_a_place_becomes_free(
    console: Console,
) -> None:
    # It stands first: any news would have the streams notice by themselves who has gone.
    connector = aiohttp.TCPConnector(limit=0)
    async with person(console, VIEWER) as one:
        cookies = {each.key: each.value for each in one.web.cookie_jar}
        async with aiohttp.ClientSession(console.url, connector=connector, cookies=cookies) as web_:

            async def is_free() -> bool:
                async with web_.get("/events") as answer:
                    return answer.status == HTTPStatus.OK

            async with AsyncExitStack() as stack:
                for _ in range(MOST):
                    await stack.enter_async_context(listening(web_))
                assert not await is_free()
            await wait_until(is_free, 5, "whoever hung up makes room, long before the next beat")


async def test_every_listener_is_told_what_has_changed(console: Console) -> None:
    async with (
        person(console, VIEWER) as one,
        listening(one.web) as first,
        listening(one.web) as second,
    ):
        incident = await console.report("Something is odd")
        for stream in (first, second):
            told: set[str] = set()
            while str(incident["id"]) not in told:  # others may still have news of their own
                news = (await stream.next("change"))["incidents"]
                assert isinstance(news, list)
                told |= set(map(str, news))
    await console.resolve(incident)


async def test_a_stream_ends_with_its_session(console: Console) -> None:
    async with person(console, VIEWER) as one, listening(one.web) as stream:
        _, found = await console.alone.call("GET", "/api/v1/sessions", who=ADMIN)
        assert isinstance(found, list)
        assert isinstance(found[0], dict)
        await console.alone.call("DELETE", f"/api/v1/sessions/{found[0]['id']}", who=ADMIN)
        incident = await console.report("Not for everybody")
        assert await stream.ended()
    await console.resolve(incident)


async def test_a_stranger_hears_nothing(console: Console) -> None:
    async with person(console) as one:
        assert (await one.get("/events"))[0] == 303


async def test_a_page_without_a_stream_looks_by_itself(console: Console) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, body="")

    async with looking(console, refused="503") as page:
        await page.clock.install()
        await page.route("**/events", refuse)
        await page.goto("/")
        await expect(page.get_by_text("every 15 s")).to_be_visible()
        incident = await console.report("Nobody told the page")
        card = page.get_by_role("article").filter(has_text="Nobody told the page")
        await expect(card).to_have_count(0)
        await page.clock.fast_forward(16_000)
        await expect(card).to_be_visible()
    await console.resolve(incident)


async def test_a_server_that_stops_waits_for_no_listener(tmp_path: Path) -> None:
    clock = SystemClock()
    async with beds.start(tmp_path) as alone:
        token = alone.places.token("oncall")
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(alone.responder.url, cookie_jar=jar) as web_:
            async with web_.get("/login") as answer:
                nonce = (await answer.text()).split('name="nonce" value="')[1].split('"')[0]
            async with web_.post("/login", data={"nonce": nonce, "token": token}) as answer:
                assert answer.status == 200
            async with listening(web_) as stream:
                began = clock.monotonic()
                stopping = asyncio.create_task(alone.responder.stop())
                assert await stream.ended()
                assert clock.monotonic() - began < 3
            await stopping
