"""From a module and a URL to an exchange."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from exporter.probe_port import Exchange, Failure, Guard, Prober, Request
from exporter.probes.settings import Module


async def ask(
    prober: Prober, module: Module, url: str, guard: Guard, *, deadline: timedelta
) -> Exchange:
    """Ask `url` as `module` says. Whatever goes wrong is a failure of the exchange."""
    try:
        secrets = await asyncio.to_thread(_read, module.header_files)
    except (OSError, UnicodeError) as error:
        words = error.strerror if isinstance(error, OSError) else None
        return Exchange(
            0.0, Failure.FILE, f"a header's file cannot be read: {words or 'it is no text'}"
        )
    request = Request(
        url,
        guard,
        method=module.method,
        headers=module.headers,
        secrets=secrets,
        redirects=module.redirects,
        family=module.ip_protocol,
        tls=module.tls.terms(),
        max_bytes=module.max_bytes,
    )
    return await prober.ask(request, deadline)


def _read(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: path.read_text().strip() for name, path in files.items()}
