"""The pages to read: guides of alerts, and the API from its own OpenAPI document."""

from aiohttp import web
from markdown_it import MarkdownIt

from responder.domain.values import JsonObject
from responder.web.frame import Frame, Page, Visit
from responder.web.reference import operations, schemas


class Paper:
    """Handlers of the pages that are open to all."""

    def __init__(self, frame: Frame, document: JsonObject) -> None:
        self._frame = frame
        self._document = document

    def pages(self) -> tuple[Page, ...]:
        """Return every address with its handler."""
        return (
            Page("GET", "/docs", None, self.docs),
            Page("GET", "/guides/{alert}", None, self.guide),
        )

    async def docs(self, visit: Visit) -> web.StreamResponse:
        """Show the API."""
        return await self._frame.page(
            visit,
            "docs.html",
            operations=operations(self._document),
            schemas=schemas(self._document),
        )

    async def guide(self, visit: Visit) -> web.StreamResponse:
        """Show the guide page of an alert."""
        folder = self._frame.services.settings.guides
        name = visit.request.match_info["alert"].removesuffix(".md")
        path = folder / f"{name}.md" if folder and name.isalnum() else None
        if path is None or not path.is_file():
            raise web.HTTPNotFound(text=f"there is no guide for {name}")
        html = markdown(path.read_text(encoding="utf-8"))
        return await self._frame.page(visit, "paper.html", title=name, html=html, back="")


def markdown(text: str) -> str:
    """Render Markdown; HTML in it is shown as text, and links lead to no script."""
    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))
