"""Buildah, on a store of its own in the cache, and what it leaves for containerd."""

import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bed.cluster.real import cache
from tests.bed.process import BedError, run_tool

ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Whatever a build mounts or starts ends with it, also when it is killed."""
BUILD_SECONDS = 900.0
ENVIRONMENT = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile with what it is built from."""

    dockerfile: Path
    context: Path
    arguments: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, Path] = field(default_factory=dict)
    """Path in the build → file of this machine, for the time of the build."""


def build(recipe: Recipe, name: str) -> None:
    """Build an image into the store, from what of it was built before. Raises BedError."""
    arguments = [f"--build-arg={key}={value}" for key, value in recipe.arguments.items()]
    mounts = [f"--volume={source}:{place}:ro" for place, source in recipe.mounts.items()]
    ignored = Path(f"{recipe.dockerfile}.dockerignore")
    ignore = [f"--ignorefile={ignored}"] if ignored.exists() else []
    files = ("-f", str(recipe.dockerfile), str(recipe.context))
    before = identity(name)
    run("bud", "-q", "--layers", "-t", name, *arguments, *mounts, *ignore, *files)
    if before and before != identity(name):
        # With its layers, but for those that another begins with; refused while it has a name.
        _buildah("rmi", before)


def identity(name: str) -> str:
    """Return the id of an image in the store; empty when it holds none of this name."""
    return run("images", "-q", "--no-trunc", "--filter", f"reference={name}")


def archive(images: Mapping[str, str], file: Path) -> None:
    """Write images of the store into one OCI archive, each layer once.

    `images` tells by which reference each name will be known to a cluster. Raises BedError.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        for name, reference in images.items():
            # Each start of a cluster unpacks it again, and gzip takes the longest of all to unpack.
            run("push", "-q", "--compression-format=zstd", name, f"oci:{folder}:{reference}")
        with tarfile.open(file, "w") as tar:
            for part in sorted(Path(folder).iterdir()):
                tar.add(part, arcname=part.name)


def run(*args: str) -> str:
    """Run buildah. Raises BedError with its last words."""
    done = _buildah(*args)
    if done.returncode != 0:
        raise BedError(f"buildah {' '.join(args)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout.strip()


def _buildah(*args: str) -> subprocess.CompletedProcess[str]:
    store = cache.home() / "buildah"
    where = (f"--root={store / 'root'}", f"--runroot={store / 'run'}")
    return run_tool(*ALONE, "buildah", *where, *args, env=ENVIRONMENT, timeout_s=BUILD_SECONDS)
