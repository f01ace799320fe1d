"""The console's own files: style, scripts, icon. Nothing is ever fetched from elsewhere."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath

from aiohttp import web

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

FOR_EVER = "public, max-age=31536000, immutable"
"""Each address carries the hash of its content, so that a new release has new addresses."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    content: bytes
    content_type: str
    version: str


class Assets:
    """Every file of `static/`, read once."""

    def __init__(self) -> None:
        self._files = dict(_read())

    def address(self, name: str) -> str:
        """Return the address of a file. Raises KeyError for one that is not there."""
        return f"/static/{name}?v={self._files[name].version}"

    async def serve(self, request: web.Request) -> web.Response:
        """Answer with a file."""
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(text="there is no such file")
        kept = FOR_EVER if request.query.get("v") == found.version else "no-cache"
        headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
        return web.Response(
            body=found.content, content_type=found.content_type, charset="utf-8", headers=headers
        )


def _read() -> list[tuple[str, Asset]]:
    found = []
    for file in (resources.files("responder.web") / "static").iterdir():
        content_type = TYPES.get(PurePosixPath(file.name).suffix)
        if content_type:
            content = file.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:12]
            found.append((file.name, Asset(content, content_type, version)))
    return found
