"""HTTP requests of probes, on aiohttp, over connections that are timed phase by phase."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import aiohttp
from yarl import URL

from exporter.clients.dial import Contexts, Dialler, ProbeFailedError, Trail
from exporter.clients.http import USER_AGENT
from exporter.ports import Resolver
from exporter.probe_port import Exchange, Failure, Phase, Request
from exporter.shared.clock import Clock

REDIRECTS = (301, 302, 303, 307, 308)


class HttpProber:
    """probe_port.Prober."""

    def __init__(self, clock: Clock, resolver: Resolver) -> None:
        self._clock = clock
        self._resolver = resolver
        self._contexts = Contexts()

    async def ask(self, request: Request, deadline: timedelta) -> Exchange:
        """Make a request. Whatever goes wrong outside is a failure of the exchange, no error."""
        trail = Trail(self._clock)
        dialler = Dialler(request, trail, self._resolver, self._contexts)
        attempt = _Attempt(request, trail, dialler)
        failure: Failure | None = None
        detail = ""
        try:
            async with asyncio.timeout(deadline.total_seconds()):
                await attempt.run()
        except TimeoutError:
            failure = Failure.TIMEOUT
            detail = f"no time left in phase {trail.doing or 'start'}"
        except ProbeFailedError as error:
            failure, detail = error.failure, str(error)
        finally:
            dialler.abort()
        if failure:
            trail.say(f"failed ({failure}): {detail}")
        return attempt.exchange(failure, detail)


class _Attempt:
    """One request with its redirects."""

    def __init__(self, request: Request, trail: Trail, dialler: Dialler) -> None:
        self._request = request
        self._trail = trail
        self._dialler = dialler
        self._status: int | None = None
        self._version = ""
        self._headers: Mapping[str, str] = {}
        self._body = b""
        self._redirects = 0

    async def run(self) -> None:
        """Ask, and follow redirects. Raises ProbeFailedError."""
        try:
            async with aiohttp.ClientSession(
                connector=self._dialler,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
            ) as session:
                url: URL | None = URL(self._request.url)
                while url is not None:
                    url = await self._hop(session, url)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError) as error:
            # Their messages quote the whole address, with what is secret in it.
            text = "not a request that can be made"
            raise ProbeFailedError(Failure.NOT_ALLOWED, text) from error
        except (aiohttp.ClientError, OSError) as error:
            text = f"the answer broke off or is no HTTP: {type(error).__name__}"
            raise ProbeFailedError(Failure.PROTOCOL, text) from error

    async def _hop(self, session: aiohttp.ClientSession, url: URL) -> URL | None:
        """Ask one address; return the next one where the answer is a redirect to follow."""
        if url.scheme not in ("http", "https"):
            raise ProbeFailedError(Failure.NOT_ALLOWED, "only http and https are asked")
        async with session.request(
            self._request.method, url, headers=self._headers_for(url), allow_redirects=False
        ) as answer:
            headed = self._trail.now()
            self._trail.add(Phase.PROCESSING, headed - self._dialler.ready)
            self._status, self._headers = answer.status, answer.headers
            if answer.version is not None:
                self._version = f"{answer.version.major}.{answer.version.minor}"
            self._trail.say(f"status {answer.status}, HTTP {self._version}")
            with self._trail.timed(Phase.TRANSFER):
                self._body = await self._read(answer)
        self._trail.say(f"body of {len(self._body)} bytes")
        location = answer.headers.get("Location")
        if answer.status not in REDIRECTS or location is None or not self._request.redirects:
            return None
        if self._redirects == self._request.redirects:
            raise ProbeFailedError(Failure.REDIRECTS, f"more than {self._redirects} redirects")
        self._redirects += 1
        return self._next(url, location)

    def _next(self, url: URL, location: str) -> URL:
        try:
            target = url.join(URL(location))
        except ValueError as error:
            raise ProbeFailedError(Failure.REDIRECTS, "redirected to no address") from error
        self._trail.say(f"redirected to {target.scheme}://{target.host}{target.path}")
        return target

    def _headers_for(self, url: URL) -> Mapping[str, str]:
        """Return the headers to send; those that are secret to their own origin alone."""
        headers = dict(self._request.headers)
        if url.origin() == URL(self._request.url).origin():
            headers |= self._request.secrets
        return headers

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._request.max_bytes:
                text = f"more than {self._request.max_bytes} bytes"
                raise ProbeFailedError(Failure.TOO_LONG, text)
        return bytes(body)

    def exchange(self, failure: Failure | None, detail: str) -> Exchange:
        """Return how far it came."""
        return Exchange(
            seconds=self._trail.seconds(),
            failure=failure,
            detail=detail,
            status=self._status,
            version=self._version,
            headers=self._headers,
            body=self._body,
            phases=dict(self._trail.phases),
            redirects=self._redirects,
            connections=self._trail.connections,
            address=self._trail.address,
            tls=self._trail.tls,
            log=tuple(self._trail.log),
        )
