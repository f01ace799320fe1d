"""The command line's way to a running responder: JSON over HTTP, errors in one line."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from exporter.shared.errors import PermanentError, TransientError
from responder.domain.values import Json

DEADLINE = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True)
class ApiClient:
    """One responder, named by its address, and the token to speak to it with."""

    url: str
    token_file: Path | None = None

    def call(self, method: str, path: str, body: Json = None) -> Json:
        """Call the API and return the decoded answer.

        Raises PermanentError (the responder said no, in its own words) or TransientError (it did
        not answer).
        """
        return asyncio.run(self._call(method, path, body, as_json=True))

    def text(self, path: str) -> str:
        """Get a page as text. Raises as `call` does."""
        return str(asyncio.run(self._call("GET", path, None, as_json=False)))

    async def _call(self, method: str, path: str, body: Json, *, as_json: bool) -> Json:
        address = f"{self.url.rstrip('/')}{path}"
        try:
            async with (
                aiohttp.ClientSession(timeout=DEADLINE, headers=self._headers()) as session,
                session.request(method, address, json=body) as answer,
            ):
                if answer.status >= 400:
                    raise PermanentError(f"{answer.status}: {await _reason(answer)}")
                found: Json = await answer.json() if as_json else await answer.text()
                return found
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise TransientError(f"no answer from {self.url}: {reason}") from error

    def _headers(self) -> dict[str, str]:
        if self.token_file is None:
            return {}
        try:
            token = self.token_file.read_text().strip()
        except OSError as error:
            raise PermanentError(f"the token file cannot be read: {error}") from error
        return {"Authorization": f"Bearer {token}"}


async def _reason(answer: aiohttp.ClientResponse) -> str:
    """Return what an error answer says: its `error` field, or its text."""
    text = await answer.text()
    try:
        found = await answer.json()
    except (aiohttp.ContentTypeError, ValueError):
        return text.strip()[:500] or str(answer.reason)
    return str(found.get("error", text)) if isinstance(found, dict) else text
