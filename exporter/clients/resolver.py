"""Name resolution through the system's resolver: search list, hosts file and all."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import timedelta

from exporter.shared.errors import TransientError


class SystemResolver:
    """ports.Resolver over getaddrinfo, which runs in a thread and cannot be cancelled."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[Sequence[str] | TransientError]] = {}

    async def resolve(self, name: str, *, deadline: timedelta) -> Sequence[str]:
        """Return the addresses of `name`. Raises TransientError.

        A lookup that outlives its deadline keeps its thread until the resolver itself gives up
        (seconds by default); asking again meanwhile waits for that one, so there is never a second.
        """
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = asyncio.create_task(_look_up(name), name=f"DNS {name}")
        done, _ = await asyncio.wait({task}, timeout=deadline.total_seconds())
        if not done:
            raise TransientError(f"{name} was not resolved in time")
        found = task.result()
        if isinstance(found, TransientError):
            raise found
        return found

    async def close(self) -> None:
        """Wait for no lookup any more."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._running.clear()


async def _look_up(name: str) -> Sequence[str] | TransientError:
    """Return the addresses, or what went wrong: perhaps nobody waits for it any more."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return TransientError(f"{name}: {error}")
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
