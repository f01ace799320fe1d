"""Every page can be read: by eye in both palettes, by a screen reader, by keyboard."""

import pytest
from playwright.async_api import Page, expect

from tests.integration.responder.console.conftest import TARGET, Console
from tests.integration.responder.console.test_browser import DESK, PHONE, looking

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

PAGES = (
    "/",
    "/run",
    f"/run?what=action:scale&target={TARGET}",
    f"/run/plan?what=action:restart&target={TARGET}",
    "/open",
    "/kill-switch",
    "/docs",
    "/guides/KpiErrorRatioHigh",
    "/incidents/INC-999999",
)

NAMELESS = """() => {
    const usable = "input:not([type=hidden]), select, textarea, button, a[href], img, [role=img]";
    const named = (one) => one.labels?.length || one.textContent.trim()
        || one.getAttribute("aria-label");
    return [...document.querySelectorAll(usable)]
        .filter((one) => one.getClientRects().length && !named(one))
        .map((one) => one.outerHTML.slice(0, 100));
}"""
"""What has no name that could be read out."""

FAINT = """() => {
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = numbers(colour).map((c) => c / 255)
            .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if ((numbers(colour)[3] ?? 1) > 0) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = new Set();
    while (texts.nextNode()) {
        const one = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !one.getClientRects().length) continue;
        const style = getComputedStyle(one);
        const [a, b] = [light(one.closest("svg") ? style.fill : style.color), light(ground(one))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5) found.add(`${contrast.toFixed(2)} ${one.outerHTML.slice(0, 90)}`);
    }
    return [...found];
}"""
"""Texts whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3), with the background behind them."""


async def everywhere(console: Console, page: Page, script: str) -> dict[str, object]:
    """Run a script on every page; return what it finds, by page."""
    incident = await console.report("Errors", target=TARGET, severity="critical")
    found = {}
    for path in (*PAGES, f"/incidents/{incident['name']}", f"/incidents/{incident['name']}/report"):
        await page.goto(path)
        await expect(page.get_by_role("main")).to_be_visible()
        if answer := await page.evaluate(script):
            found[path] = answer
    await console.resolve(incident)
    return found


async def test_everything_that_can_be_used_has_a_name(console: Console) -> None:
    async with looking(console, size=DESK, refused="404") as page:
        assert await everywhere(console, page, NAMELESS) == {}


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_every_text_stands_out_from_its_ground(console: Console, scheme: str) -> None:
    async with looking(console, size=DESK, refused="404") as page:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert await everywhere(console, page, FAINT) == {}


async def test_no_page_is_wider_than_a_phone(console: Console) -> None:
    wide = """() => document.documentElement.scrollWidth > document.documentElement.clientWidth"""
    async with looking(console, size=PHONE, refused="404") as page:
        assert await everywhere(console, page, wide) == {}


async def test_the_palette_follows_the_system_until_somebody_chooses(console: Console) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    async with looking(console) as page:
        await page.emulate_media(color_scheme="light")
        light = await page.evaluate(ground)
        await page.emulate_media(color_scheme="dark")
        dark = await page.evaluate(ground)
        assert light != dark
        await page.emulate_media(color_scheme="light")
        await page.get_by_role("button", name="Colours: automatic").click()
        assert await page.evaluate(ground) == dark
        await page.reload()
        assert await page.evaluate(ground) == dark  # kept, and there from the first paint
        await page.emulate_media(color_scheme="dark")
        await page.get_by_role("button", name="Colours: dark").click()
        assert await page.evaluate(ground) == light


async def test_the_first_tab_leads_past_the_navigation(console: Console) -> None:
    async with looking(console) as page:
        await page.goto("/")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
