"""The Go client: builds the tools that a pinned module names."""

import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bed.process import BedError, run_tool

ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly",
    "GOGC": "400",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
"""No other toolchain is fetched, and nothing but what go.sum names is built. The compiler collects
its garbage seldom: client-go with it in 94 s instead of 100, by 530 MB instead of 360."""
COMPILED = ("-trimpath", "-gcflags=all=-dwarf=false")
"""Nobody debugs these programs: without DWARF client-go compiles in 100 s instead of 109."""
SAID_EVERY = 30.0
"""Seconds between two words of progress."""
FETCH_SECONDS = 900.0
"""For a command that may have to fetch every module first."""
LAST_LINES = 40
"""Of the compiler's words, those that are told when it fails."""


def run(folder: Path, *args: str) -> str:
    """Run the Go client in a module's folder and return what it says. Raises BedError."""
    done = run_tool(_client(), *args, env=ENVIRONMENT, cwd=folder, timeout_s=FETCH_SECONDS)
    if done.returncode != 0:
        raise BedError(f"go {' '.join(args)} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def build_tools(
    folder: Path, out: Path, say: Callable[[str], None], linked: Iterable[str] = ()
) -> None:
    """Build the tools of a module into `out`, saying how far it is. Raises BedError.

    `linked` holds flags for the linker.
    """
    count = len(run(folder, "list", "-deps", "tool").splitlines())
    flags = " ".join(("-s", "-w", *linked))
    with subprocess.Popen(
        (_client(), "build", "-v", *COMPILED, f"-ldflags={flags}", "-o", f"{out}/", "tool"),
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as building:
        assert building.stderr is not None
        last = deque[str](maxlen=LAST_LINES)
        next_word = time.monotonic() + SAID_EVERY
        for compiled, line in enumerate(building.stderr, start=1):
            last.append(line)
            if time.monotonic() >= next_word:
                say(f"{compiled:,} of {count:,} packages are compiled")
                next_word = time.monotonic() + SAID_EVERY
    if building.returncode != 0:
        raise BedError(f"go build in {folder} failed:\n{''.join(last)}")


def _client() -> str:
    client = shutil.which("go")
    if client is None:
        raise BedError("go is missing: it builds programs of the bed")
    return client
