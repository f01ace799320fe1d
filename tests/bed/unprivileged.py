"""For programs that refuse to run as root: whom to run them as, and a folder they can enter."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "bed-"


def owner() -> str | None:
    """Return whom to run as, or None where we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def home(root: Path, name: str, user: str | None) -> Iterator[Path]:
    """Have a folder of `user`'s for a while; it is not below `root`, where others can't enter.

    Makes `root` as well, where the log goes.
    """
    root.mkdir(parents=True, exist_ok=True)
    _sweep(f"{PREFIX}{name}-")
    path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-{os.getpid()}-"))
    try:
        if user is not None:
            shutil.chown(path, user)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _sweep(prefix: str) -> None:
    """Remove the homes whose owners were killed before they could."""
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*-*"):
        process = path.name.removeprefix(prefix).partition("-")[0]
        if not Path("/proc", process).exists():
            shutil.rmtree(path, ignore_errors=True)
