"""`python -m tests.bench.page_server FOLDER --pods N`: pods whose pages of 5,004 lines grow.

The page is that of prometheus_client for 330 label sets of a histogram with 12 buckets, among what
other series a process has. With each request every counter of the page has grown.
"""

import argparse
import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

HISTOGRAM = "http_request_duration_seconds"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
VERSIONS = 4
HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
    "Content-Length: {}\r\n\r\n"
)


def address(pod: int) -> str:
    """Return the address of a pod; each has its own."""
    return f"127.0.9.{pod + 1}"


def pages() -> list[bytes]:
    """Return a page at VERSIONS moments of its life, each with every counter grown."""
    registry = CollectorRegistry()
    histogram = Histogram(
        HISTOGRAM,
        "Time to answer an HTTP request.",
        ["method", "route", "status"],
        buckets=BOUNDS,
        registry=registry,
    )
    noise = Gauge("process_things", "What else a process tells.", ["thing"], registry=registry)
    for number in range(380):
        noise.labels(f"thing-{number}").set(number)
    found = []
    for version in range(VERSIONS):
        for number in range(330):
            route, rest = divmod(number, 10)
            status = ("200", "201", "302", "404", "500")[rest // 2]
            labels = (("GET", "POST")[rest % 2], f"/api/v1/resource-{route}/{{id}}", status)
            for bound in (0.001, *BOUNDS):
                histogram.labels(*labels).observe(bound * 1.01 + version / 1e6)
        lines = [line for line in generate_latest(registry).split(b"\n") if b"_created" not in line]
        found.append(b"\n".join(lines))
    return found


async def serve(folder: Path, pods: int) -> None:
    """Serve until killed; FOLDER/port holds the port once all pods listen."""
    answers = [HEAD.format(len(page)).encode() + page for page in pages()]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        turn = 0
        while await reader.readuntil(b"\r\n\r\n"):
            # Its last page is followed by the first one: the process began anew.
            writer.write(answers[turn % VERSIONS])
            turn += 1

    first = await asyncio.start_server(talk, address(0), 0)
    port = int(first.sockets[0].getsockname()[1])
    others = [await asyncio.start_server(talk, address(pod), port) for pod in range(1, pods)]
    (folder / "port").write_text(str(port))
    await asyncio.gather(*(server.serve_forever() for server in (first, *others)))


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="the pods of the page bench")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pods", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.folder, arguments.pods))


if __name__ == "__main__":
    main()
