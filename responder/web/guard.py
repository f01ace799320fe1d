"""Which requests may be believed to come from our own pages."""

from urllib.parse import urlsplit

from aiohttp import web

LOOPBACK = ("127.0.0.1", "::1", "localhost")

CHANGING = ("POST", "PUT", "PATCH", "DELETE")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Nothing inline, nothing from elsewhere, in nobody's frame."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What every page carries."""


def comes_from_elsewhere(request: web.Request, public_url: str) -> bool:
    """Say whether a browser sent a changing request for a page that is not ours.

    Programs send neither header; a browser's own cannot be forged by a page. A proxy may have
    changed Host, so the public address counts as ours too.
    """
    if request.method not in CHANGING:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    ours = {request.host, request.headers.get("X-Forwarded-Host"), urlsplit(public_url).netloc}
    return urlsplit(origin).netloc not in ours


def is_rebound(request: web.Request) -> bool:
    """Say whether a request that was meant for loopback names another host.

    Where nobody logs in, a page elsewhere could otherwise have its own name lead here.
    """
    try:
        name = urlsplit(f"//{request.host}").hostname
    except ValueError:
        return True
    return name not in LOOPBACK


def is_secure(request: web.Request, public_url: str) -> bool:
    """Say whether the browser speaks TLS, to us or to the proxy before us."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    return request.secure or forwarded == "https" or public_url.startswith("https://")
