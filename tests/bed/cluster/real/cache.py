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


def made(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `kind`/`key` of the cache; `make` fills it the first time.

    Other processes that want the same wait for it. One that fails leaves nothing behind.
    """
    place = home() / kind / key
    if place.is_dir():
        return place
    with _alone(home() / kind):
        if not place.is_dir():
            draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=place.parent))
            try:
                make(draft)
                draft.chmod(0o755)
                draft.rename(place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return place


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
