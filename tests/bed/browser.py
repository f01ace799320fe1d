"""A real browser, Debian's chromium, driven by playwright; it reaches nothing but loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

from tests.bed.process import program

FLAGS = (
    "--no-sandbox",  # the bed may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser without a window."""
    path = program("chromium", "chromium-browser", package="chromium")
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()
