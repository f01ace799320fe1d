"""`python -m tests.bed.cluster.real up`: a real cluster in the foreground, for people."""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from tests.bed.cluster.real import images, machine, programs
from tests.bed.cluster.real.cluster import RealCluster, Wanted
from tests.bed.process import BedError


async def up(wanted: Wanted) -> None:
    """Run a cluster until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with tempfile.TemporaryDirectory(prefix="runbookd-up-") as folder:
        async with RealCluster.start(Path(folder), wanted) as cluster:
            print(f"export KUBECONFIG={cluster.kubeconfig}")
            print(f"export PATH={cluster.places.programs}:$PATH", flush=True)
            programs.say("it is up until Ctrl-C; logs are beside the kubeconfig")
            await stopped.wait()


def main() -> int:
    """Read the arguments and do what they say; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bed.cluster.real")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build what is missing, and start nothing")
    building.add_argument("--images", action="store_true", help="the images as well")
    starting = commands.add_parser("up", help="run a cluster until Ctrl-C or SIGTERM")
    starting.add_argument("--metrics", action="store_true", help="with metrics-server")
    starting.add_argument("--kwok", action="store_true", help="with kwok")
    chosen = parser.parse_args()
    try:
        machine.require()
        programs.build()
        if chosen.command == "up":
            asyncio.run(up(Wanted(metrics=chosen.metrics, kwok=chosen.kwok)))
        elif chosen.images:
            images.build()
    except BedError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
