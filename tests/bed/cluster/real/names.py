"""The cluster's names: a DNS server that knows Services by their address, and nothing else.

Messages are as RFC 1035 has them; a Service is `NAME.NAMESPACE.svc.cluster.local`.
"""

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from typing_extensions import override

DOMAIN = "cluster.local"
PORT = 53
TTL_SECONDS = 1
A, IN = 1, 1
NO_ERROR, NO_NAME = 0, 3
RESPONSE = 0x8580
"""Flags: a response, authoritative; recursion is wanted and there."""
QUESTION_AT = 12
SAME_NAME = 0xC000 | QUESTION_AT

Find = Callable[[str, str], Awaitable[str | None]]
"""Namespace and name of a Service → its address, None when it has none."""


class Names(asyncio.DatagramProtocol):
    """Answers each question by asking `find`."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._answering: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        """Answer one question; what is no question is dropped."""
        try:
            name, kind, end = question(data)
        except (ValueError, IndexError, struct.error):
            return
        task = asyncio.get_running_loop().create_task(self._answer(data[:end], name, kind, addr))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(
        self, asked: bytes, name: str, kind: int, addr: tuple[str | object, int]
    ) -> None:
        service = of_service(name)
        found = await self._find(*service) if service else None
        self._transport.sendto(answer(asked, kind, found), addr)


@asynccontextmanager
async def serve(host: str, find: Find) -> AsyncIterator[None]:
    """Answer on an address of this machine."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Names(find), (host, PORT))
    try:
        yield
    finally:
        transport.close()


def question(message: bytes) -> tuple[str, int, int]:
    """Return the name, the type and the end of the one question. Raises ValueError for others."""
    _, flags, count = struct.unpack_from("!HHH", message)
    if flags >> 15 or count != 1:
        raise ValueError("not a question")
    labels, place = [], QUESTION_AT
    while length := message[place]:
        labels.append(message[place + 1 : place + 1 + length].decode("ascii", "replace").lower())
        place += 1 + length
    kind, class_ = struct.unpack_from("!HH", message, place + 1)
    if class_ != IN:
        raise ValueError("not of the Internet")
    return ".".join(labels), kind, place + 5


def of_service(name: str) -> tuple[str, str] | None:
    """Return namespace and name of the Service that a name is of."""
    labels = name.removesuffix(f".svc.{DOMAIN}").split(".")
    if not name.endswith(f".svc.{DOMAIN}") or len(labels) != 2:
        return None
    return labels[1], labels[0]


def answer(asked: bytes, kind: int, address: str | None) -> bytes:
    """Return the response to the question in `asked`; a Service has no other record than A."""
    shown = address is not None and kind == A
    code = NO_NAME if address is None else NO_ERROR
    head = asked[:2] + struct.pack("!HHHHH", RESPONSE | code, 1, int(shown), 0, 0)
    body = asked[QUESTION_AT:]
    if shown:
        packed = ipaddress.IPv4Address(address).packed
        body += struct.pack("!HHHIH", SAME_NAME, A, IN, TTL_SECONDS, len(packed)) + packed
    return head + body
