"""`guardian.py BED HOME`: removes what the kernel leaves of a bed, when its owner is gone.

The bed's processes, mounts, links and packet rules live in namespaces that end with their first
process, and so die with the owner by whatever means. What has no namespace are its control groups
and its files. The guardian is a process apart that waits for the end of its standard input, which
its owner holds: an owner that stops lets go of it, and one that was killed has. It also inherits
the bed's name, so that no other bed takes it before all is cleared.

Runs on the standard library alone.
"""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
LINKS = Path("/sys/class/net")
PATIENCE_SECONDS = 30.0
"""How long the kernel may take to end all containers on a loaded machine; alone, under one."""
PAUSE_SECONDS = 0.05


def hierarchies() -> list[Path]:
    """Return the roots of the control groups: one in version 2, one for each controller before."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return sorted(p for p in CGROUPS.iterdir() if p.is_dir() and not p.is_symlink())


def clear(bed: str, home: Path, patience_s: float = PATIENCE_SECONDS) -> list[str]:
    """Remove a bed's control groups, with whatever still runs in them, and its files.

    Returns what is left after `patience_s`; nothing to remove is fine.
    """
    groups = [root / bed for root in hierarchies()]

    def cleared() -> list[str]:
        for group in groups:
            _remove_group(group)
        shutil.rmtree(home, ignore_errors=True)
        return [str(place) for place in (*groups, home) if place.exists()]

    return _until_empty(cleared, patience_s)


def _remove_group(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        try:
            for pid in (Path(folder) / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            Path(folder).rmdir()
        except OSError:
            continue  # its last process is still ending, or it is gone already


def _until_empty(look: Callable[[], list[str]], patience_s: float) -> list[str]:
    deadline, pause = time.monotonic() + patience_s, threading.Event()
    while (left := look()) and time.monotonic() < deadline:
        pause.wait(PAUSE_SECONDS)
    return left


def main() -> int:
    """Wait for the owner's end, then clear; returns the exit code."""
    bed, home = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what ends a whole session must not end its broom
    sys.stdin.buffer.read()
    link = LINKS / bed
    left = clear(bed, Path(home))
    left += _until_empty(lambda: [str(link)] if link.exists() else [], PATIENCE_SECONDS)
    if left:
        print(f"not removed: {' '.join(left)}", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
