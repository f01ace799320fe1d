"""What takes minutes to make, kept outside the checkout under a hash of what goes into it."""

import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

DIGEST_DIGITS = 16
KEPT = 3


def home() -> Path:
    """Return the project's folder in the user's cache; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "runbookd"


def digest(*sources: Path, also: str = "") -> str:
    """Return a short hash over files, and all files in folders, with their names, and `also`."""
    found = hashlib.sha256(f"{platform.machine()} {also}".encode())
    for source in sources:
        files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
        for file in files:
            if "__pycache__" in file.parts:
                continue
            found.update(f"{file.relative_to(source.parent)} {file.stat().st_size}\n".encode())
            found.update(file.read_bytes())
    return found.hexdigest()[:DIGEST_DIGITS]


def place(name: str, key: str) -> Path:
    """Return the folder of the cache that is, or will be, what `key` says."""
    return home() / f"{name}-{key}"


def made(name: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of the cache; `make` fills it the first time.

    Other processes that want the same wait for it. One that fails leaves nothing behind. Of each
    name, those not used for longest are removed: checkouts at different commits share the cache.
    """
    wanted = place(name, key)
    if not wanted.is_dir():
        with _alone(name):
            if not wanted.is_dir():
                _fill(wanted, make)
                _forget(name)
    os.utime(wanted)
    return wanted


def _fill(wanted: Path, make: Callable[[Path], None]) -> None:
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=wanted.parent))
    try:
        make(draft)
        draft.chmod(0o755)
        draft.rename(wanted)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _forget(name: str) -> None:
    known = sorted(home().glob(f"{name}-*"), key=lambda path: path.stat().st_mtime)
    for old in known[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    home().mkdir(parents=True, exist_ok=True)
    with (home() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
