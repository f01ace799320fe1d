"""`python -m tests.bench.probe_target FOLDER`: a small page, plain and by TLS, to be probed.

Writes FOLDER/ca.pem and then FOLDER/ports (the plain one and that of TLS); ends on SIGTERM.
"""

import asyncio
import signal
import ssl
import sys
from pathlib import Path

import trustme
from aiohttp import web

from tests.bed.web_server import web_server


async def _page(_: web.Request) -> web.Response:
    return web.Response(text="well" * 256)


async def serve(folder: Path) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    routes = {"/": _page}
    async with web_server(routes) as plain, web_server(routes, tls=context) as secured:
        (folder / "ports.new").write_text(f"{plain} {secured}")
        (folder / "ports.new").rename(folder / "ports")
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
