"""Takes the pictures of the README: `python -m tests.bed.screenshots` plays the bad release.

Every picture shows what really happened on the bed a moment before, times included, so no two runs
give the same bytes: they are taken anew when the console has changed, and are not compared.
"""

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Page, ViewportSize

from tests.bed import bed as beds
from tests.bed import watch
from tests.bed.browser import chromium
from tests.bed.load import Load
from tests.bed.process import wait_until

PICTURES = Path(__file__).resolve().parents[2] / "responder" / "pictures"
LARGEST_BYTES = 150_000
SIZE: ViewportSize = {"width": 900, "height": 1000}
PHONE: ViewportSize = {"width": 390, "height": 844}
RATE = 40.0
BOUND_SECONDS = 180.0


async def log_in(page: Page, url: str, token: str) -> None:
    """Log in and wait for the first page."""
    await page.goto(f"{url}/login")
    await page.get_by_label("Your token").fill(token)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(f"{url}/")


async def main() -> None:
    """Play, and take every picture."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="runbookd-pictures-") as folder:
        async with (
            beds.start(Path(folder), factor=10.0) as bed,
            Load.start(lambda: [f"{bed.places.probe_url}/tasks"], rate=RATE, total=60_000),
            chromium() as browser,
        ):
            page = await browser.new_page(viewport=SIZE)
            await log_in(page, bed.responder.url, bed.places.token("oncall"))
            await watch.until_healthy(bed)
            await bed.deploy("v4-errors")
            await wait_until(lambda: watch.incident(bed), BOUND_SECONDS, "the incident is open")
            report = {"title": "Two customers cannot upload files", "severity": "warning"}
            await watch.call(bed, "/api/v1/incidents", dict(report))
            await wait_until(lambda: _acted(bed), BOUND_SECONDS, "the runbook has acted")
            await _take(page, bed.responder.url, "incidents")
            await page.set_viewport_size(PHONE)
            await _take(page, bed.responder.url, "phone", ("dark",))
            await page.set_viewport_size(SIZE)
            await wait_until(lambda: _is_over(bed), BOUND_SECONDS, "the incident is resolved")
            await _take(page, f"{bed.responder.url}/incidents/INC-1", "incident")


async def _acted(bed: beds.Bed) -> bool:
    return any(fact["kind"] == "applied" for fact in await watch.timeline(bed))


async def _is_over(bed: beds.Bed) -> bool:
    found = await watch.incident(bed)
    return found is not None and found["status"] != "open"


async def _take(
    page: Page, url: str, name: str, schemes: tuple[str, ...] = ("dark", "light")
) -> None:
    for scheme in schemes:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.goto(url)
        await page.get_by_text("● live").wait_for()
        path = PICTURES / f"{name}-{scheme}.png"
        await page.screenshot(path=path)
        size = path.stat().st_size
        print(f"{path.name}: {size} bytes")
        if size > LARGEST_BYTES:
            raise SystemExit(f"{path.name} is larger than {LARGEST_BYTES} bytes")


if __name__ == "__main__":
    asyncio.run(main())
