"""The console in a real browser, as whoever is woken at night uses it: on a phone, live."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, ViewportSize, expect

from tests.conftest import is_loopback
from tests.integration.responder.console.conftest import TARGET, Console, Watched

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

PHONE: ViewportSize = {"width": 360, "height": 740}
DESK: ViewportSize = {"width": 1280, "height": 900}
RESTARTED = "kubectl.kubernetes.io/restartedAt"


@asynccontextmanager
async def looking(
    console: Console, who: str = "oncall", size: ViewportSize = PHONE, refused: str = "none"
) -> AsyncIterator[Page]:
    """Log in, and at the end demand that nothing was complained of and nobody else asked.

    `refused` is the status of an answer that is wanted, and complained of by the browser.
    """
    context = await console.browser.new_context(viewport=size, base_url=console.url)
    watched = Watched(await context.new_page())
    watched.listen()
    page = watched.page
    page.set_default_timeout(15_000)
    await page.goto("/login")
    await page.get_by_label("Your token").fill(console.alone.places.token(who))
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Open incidents")).to_be_visible()
    try:
        yield page
    finally:
        await context.close()
    assert [said for said in watched.complaints if f"status of {refused}" not in said] == []
    assert watched.asked != []
    assert [url for url in watched.asked if not is_loopback(urlsplit(url).hostname)] == []


async def is_wider_than_its_screen(page: Page) -> bool:
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(await page.evaluate(wide))


async def restarted(console: Console) -> object:
    spec = (await console.alone.deployment())["spec"]
    assert isinstance(spec, dict)
    return spec["template"]["metadata"].get("annotations", {}).get(RESTARTED)


async def test_an_incident_appears_by_itself_and_is_taken_on_a_phone(console: Console) -> None:
    async with looking(console) as page:
        await expect(page.get_by_text("● live")).to_be_visible()
        incident = await console.report("Uploads fail", target=TARGET, severity="critical")
        card = page.get_by_role("article").filter(has_text="Uploads fail")
        await expect(card).to_be_visible()  # without a reload
        await expect(card.get_by_text("nobody")).to_be_visible()
        await expect(card.get_by_text("level 2 at")).to_be_visible()
        assert not await is_wider_than_its_screen(page)
        await card.get_by_role("button", name="Take").click()
        await expect(page).to_have_url(f"{console.url}/incidents/{incident['name']}")
        await expect(page.get_by_text("Acknowledged by oncall.")).to_be_visible()
        assert not await is_wider_than_its_screen(page)
    await console.resolve(incident)


async def test_an_open_page_follows_what_others_do_to_its_incident(console: Console) -> None:
    incident = await console.report("Searches are slow")
    path = f"/api/v1/incidents/{incident['id']}"
    async with looking(console, "console") as page:
        await page.goto(f"/incidents/{incident['name']}")
        await expect(page.get_by_text("● live")).to_be_visible()
        call = console.alone.call
        await call("POST", f"{path}/hold", who="oncall", body={"why": "looking"})
        await expect(page.get_by_text("Held by oncall since")).to_be_visible()
        await call("POST", f"{path}/decisions", who="oncall", body={"what": "wait for the vendor"})
        await expect(page.get_by_text("oncall decided: wait for the vendor.")).to_be_visible()
        await call("POST", f"{path}/resolve", who="oncall", body={"why": "the vendor mended it"})
        await expect(page.get_by_text("resolved by oncall", exact=True)).to_be_visible()


async def test_what_somebody_writes_is_not_swept_away_by_news(console: Console) -> None:
    incident = await console.report("Mails wait")
    async with looking(console) as page:
        await page.goto(f"/incidents/{incident['name']}")
        await expect(page.get_by_text("● live")).to_be_visible()
        await page.locator("summary", has_text="Resolve").click()
        await page.get_by_label("What ended it").fill("the queue was")
        path = f"/api/v1/incidents/{incident['id']}/ack"
        await console.alone.call("POST", path, who="lead")
        await expect(page.get_by_text("Acknowledged by lead.")).to_be_visible()
        await expect(page.get_by_label("What ended it")).to_have_value("the queue was")
        await page.get_by_label("What ended it").fill("the queue was full")
        await page.get_by_role("button", name="Resolve").click()
        said = page.get_by_text("Resolved by oncall: the queue was full.")
        await expect(said).to_be_visible()


async def test_a_run_is_planned_first_and_done_when_confirmed(console: Console) -> None:
    before = await restarted(console)
    async with looking(console) as page:
        await page.get_by_role("link", name="Run", exact=True).click()
        await page.get_by_label("What", exact=True).select_option("action:restart")
        await page.get_by_label("On what").fill(TARGET)
        await page.get_by_role("button", name="Next").click()
        await expect(page.get_by_text("1 of 1 pods, cannot be taken back")).to_be_visible()
        await expect(page.get_by_text("allowed")).to_be_visible()
        assert await restarted(console) == before
        await page.get_by_role("button", name="Run it").click()
        await expect(page.get_by_role("heading", name="Run 1: restart")).to_be_visible()
        await expect(page.get_by_text("restart: done")).to_be_visible()
        piece = page.locator("details", has=page.locator("summary", has_text="target pods"))
        await piece.locator("summary").click()
        await expect(piece.locator("pre")).to_contain_text("1/1 ready")
    assert await restarted(console) != before


async def test_an_action_asks_for_its_parameters_and_a_refused_plan_is_not_offered(
    console: Console,
) -> None:
    async with looking(console) as page:
        await page.goto("/run")
        await page.get_by_label("What", exact=True).select_option("action:scale")
        await page.get_by_label("On what").fill(TARGET)
        await page.get_by_role("button", name="Next").click()
        await page.get_by_label("to (may be left out)", exact=True).fill("2")
        await page.get_by_role("button", name="Show the plan").click()
        await expect(page.get_by_role("button", name="Run it")).to_be_visible()
        await page.goto("/run/plan?what=action:restart&target=deployment/kube-system/dns")
        await expect(page.get_by_text("dns does not exist")).to_be_visible()
        await expect(page.get_by_role("button", name="Run it")).to_have_count(0)


async def test_a_plan_that_has_changed_since_is_shown_again_and_not_done(console: Console) -> None:
    before = await restarted(console)
    async with looking(console, refused="409") as page:
        await page.goto(f"/run/plan?what=action:restart&target={TARGET}")
        seen = page.locator("input[name=seen]")
        await seen.evaluate("one => one.value = 'another plan'")
        async with page.expect_response(f"{console.url}/run") as answer:
            await page.get_by_role("button", name="Run it").click()
        assert (await answer.value).status == 409
        await expect(page.get_by_text("The plan has changed since you looked.")).to_be_visible()
    assert await restarted(console) == before


async def test_the_kill_switch_is_seen_everywhere_at_once(console: Console) -> None:
    async with looking(console, "console") as other, looking(console, size=DESK) as page:
        await expect(other.get_by_text("● live")).to_be_visible()
        await page.get_by_role("link", name="Stop everything").click()
        await page.get_by_label("Why").fill("moving the cluster")
        await page.get_by_role("button", name="Stop everything").click()
        for one in (page, other):
            banner = one.get_by_role("alert")
            await expect(banner).to_contain_text("Kill switch on: nothing is changed.")
            await expect(banner).to_contain_text("moving the cluster")
        await page.goto(f"/run/plan?what=action:restart&target={TARGET}")
        await expect(page.get_by_text("the kill switch is on")).to_be_visible()
        await expect(page.get_by_role("button", name="Run it")).to_have_count(0)
        await page.goto("/kill-switch")
        await page.get_by_role("button", name="Turn it off").click()
        await expect(other.get_by_text("Kill switch off")).to_be_visible()


async def test_a_link_from_elsewhere_finds_its_way_in(console: Console) -> None:
    incident = await console.report("Seen from a mail")
    async with looking(console) as page:
        there = console.url.replace("127.0.0.1", "localhost")  # another site for the browser
        await page.goto(f"{there}/docs")
        link = f"{console.url}/incidents/{incident['name']}"
        script = "(link) => { const a = document.createElement('a'); a.href = link; "
        await page.evaluate(script + "document.body.append(a); a.click(); }", link)
        await expect(page.get_by_role("heading", name="Seen from a mail")).to_be_visible()
        await expect(page).to_have_url(link)
    await console.resolve(incident)


async def test_a_kpi_is_drawn_with_its_target_or_its_absence_is_said(console: Console) -> None:
    incident = await console.report("Errors", target=TARGET)
    async with looking(console, size=DESK) as page:
        await expect(page.get_by_text("25 %", exact=True)).to_be_visible()
        await expect(page.get_by_text("✗ not below 1 %")).to_be_visible()
        await expect(page.get_by_text("? wanted below 200 ms")).to_be_visible()
        await page.goto(f"/incidents/{incident['name']}")
        drawn = page.get_by_role("img", name="error ratio from")
        await expect(drawn).to_be_visible()
        assert await drawn.locator("polyline, circle").count() > 0
        assert await drawn.locator("line.target").count() == 1
        assert await drawn.locator("line.mark.alert").count() >= 1
        absent = page.get_by_text("Prometheus has no sample of latency_p95")
        await expect(absent).to_be_visible()
    await console.resolve(incident)
