"""Images, built by buildah from a Dockerfile into archives that containerd can import."""

import tempfile
from pathlib import Path

from tests.bed.cluster.real import cache
from tests.bed.process import BedError, run_tool

PAUSE = "localhost/pause:1"
PAUSE_FILE = 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n'


def pause(programs: Path) -> Path:
    """Return the archive of the image that holds a pod's namespaces."""
    key = cache.digest(programs / "pause", also=PAUSE_FILE)

    def make(folder: Path) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as file:
            file.write(PAUSE_FILE)
            file.flush()
            build(Path(file.name), programs, PAUSE, folder / "image.tar")

    return cache.made("images", f"pause-{key}", make) / "image.tar"


def build(dockerfile: Path, context: Path, name: str, archive: Path, *options: str) -> None:
    """Build one image into an archive. Raises BedError with the builder's last words."""
    buildah("bud", "-q", "-f", str(dockerfile), "-t", name, *options, str(context))
    buildah("push", "-q", name, f"oci-archive:{archive}:{name}")


def buildah(*args: str, timeout_s: float = 600.0) -> str:
    """Run buildah on a store of our own. Raises BedError."""
    store = cache.home() / "buildah"
    env = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
    where = (f"--root={store / 'root'}", f"--runroot={store / 'run'}")
    done = run_tool("buildah", *where, *args, env=env, timeout_s=timeout_s)
    if done.returncode != 0:
        raise BedError(f"buildah {' '.join(args)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.strip()
