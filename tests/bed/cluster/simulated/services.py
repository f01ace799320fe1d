"""Services: an address with a listener that hands connections to ready pods in turn."""

import asyncio
import logging
from dataclasses import dataclass, field

from tests.bed.cluster.simulated.kinds import POD, SERVICE
from tests.bed.cluster.simulated.objects import (
    Obj,
    is_ready,
    labels,
    name_of,
    namespace_of,
    number,
    part,
    parts,
    text,
    uid_of,
)
from tests.bed.cluster.simulated.probes import resolve_port
from tests.bed.cluster.simulated.recorder import Recorder
from tests.bed.cluster.simulated.store import Change, Store

CHUNK = 65536
CONNECT_SECONDS = 5.0

Endpoint = tuple[str, int]


@dataclass
class Listener:
    """One port of one Service; it listens only while a pod is ready, so that others are refused."""

    address: str
    port: int
    endpoints: list[Endpoint] = field(default_factory=list)
    server: asyncio.Server | None = None
    turn: int = 0

    async def update(self) -> None:
        """Listen or stop listening, as the endpoints demand. Raises OSError."""
        if self.endpoints and self.server is None:
            self.server = await asyncio.start_server(self._accept, self.address, self.port)
        elif not self.endpoints and self.server is not None:
            self.server.close()
            self.server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self.endpoints:
                return
            self.turn = (self.turn + 1) % len(self.endpoints)
            async with asyncio.timeout(CONNECT_SECONDS):
                there, back = await asyncio.open_connection(*self.endpoints[self.turn])
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, back))
                both.create_task(_pump(there, writer))
        except (OSError, ExceptionGroup):
            pass  # an end of the connection went away: so does the other
        finally:
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


class Services:
    """Keeps the listeners in line with Services and pods."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder
        self._listeners: dict[tuple[str, int], Listener] = {}
        self._wake = asyncio.Event()

    def follow(self, change: Change) -> None:
        """Take note of a change of the store."""
        if change.kind in {SERVICE, POD}:
            self._wake.set()

    async def run(self) -> None:
        """Bring listeners in line whenever something changed, until cancelled."""
        self._store.listeners.add(self.follow)
        while True:
            await self._wake.wait()
            self._wake.clear()
            for service in self._store.every(SERVICE):
                await self._update(service)
            alive = {uid_of(service) for service in self._store.every(SERVICE)}
            for uid, port in [key for key in self._listeners if key[0] not in alive]:
                gone = self._listeners.pop((uid, port))
                gone.endpoints.clear()
                await gone.update()

    async def _update(self, service: Obj) -> None:
        address = text(service, "spec", "clusterIP")
        if address == "None":
            return
        for port in parts(service, "spec", "ports"):
            key = (uid_of(service), number(port, "port"))
            listener = self._listeners.setdefault(key, Listener(address, key[1]))
            listener.endpoints = self._endpoints(service, port.get("targetPort"))
            try:
                await listener.update()
            except OSError as error:  # a port below 1024 needs root
                logging.getLogger(__name__).warning("%s: %s", name_of(service), error)
                self._recorder.warning("service-proxy", service, "FailedToListen", str(error))

    def _endpoints(self, service: Obj, target: object) -> list[Endpoint]:
        wanted = part(service, "spec", "selector").items()
        if not wanted:
            return []
        return [
            (text(pod, "status", "podIP"), resolve_port(target, parts(pod, "spec", "containers")))
            for pod in self._store.every(POD, namespace_of(service))
            if is_ready(pod) and wanted <= labels(pod).items()
        ]
