"""The images: the product's, the bed's programs and what they stand on, each built when it is new.

Base images cannot be had everywhere, so one is made of this machine's own distribution.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bed.cluster.real import buildah, cache, programs
from tests.bed.cluster.real.buildah import ALONE, Recipe
from tests.bed.process import BedError, run_tool
from tests.bed.task_manager.behaviour import BEHAVIOURS

ROOT = Path(__file__).parents[4]
ARCHIVE = "image.tar"
PRODUCT = (
    "charts/image",
    "exporter",
    "responder",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements.lock",
)
"""What goes into the image of both programs."""
INCLUDED = "python3,python3-venv,ca-certificates"
UNNEEDED = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
)
FROM_SCRATCH = "FROM scratch\nADD rootfs.tar /\n"
PAUSE = "localhost/pause:1"
PAUSE_FILE = 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n'
PROGRAMS = "localhost/bed-programs"
CERTIFICATES = "/etc/build-certificates.pem"
TOLD = ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")
"""Settings of pip that hold inside a build as well."""
MODULES = {"task-manager": "tests.bed.task_manager", "probe-app": "tests.bed.cluster.probe_app"}
TAGS = {"task-manager": tuple(BEHAVIOURS), "probe-app": ("v1", "v2", "sick", "crash")}


@dataclass(frozen=True, slots=True)
class Image:
    """What a pod can run once the archive is imported."""

    reference: str
    archive: Path


def pause(folder: Path) -> Path:
    """Return the archive of the image that holds a pod's namespaces; `folder` has its program."""
    key = cache.digest(folder / "pause", also=PAUSE_FILE)

    def make(draft: Path) -> None:
        with tempfile.TemporaryDirectory() as context:
            shutil.copy(folder / "pause", context)
            buildah.build(_recipe(PAUSE_FILE, Path(context)), PAUSE)
        buildah.archive({PAUSE: PAUSE}, draft / ARCHIVE)

    return cache.made("image-pause", key, make) / ARCHIVE


def build() -> None:
    """Build every image that is missing."""
    pause(programs.built())
    product()
    for name in MODULES:
        program(name)


def product() -> Image:
    """Return the image of both programs, built from this checkout."""
    key = cache.digest(*(ROOT / name for name in PRODUCT), also=_base())
    reference = f"localhost/runbookd:{key}"

    def make(folder: Path) -> None:
        programs.say("building the image of both programs")
        buildah.build(_python_recipe(ROOT / "charts/image/Dockerfile"), "localhost/runbookd")
        buildah.archive({"localhost/runbookd": reference}, folder / ARCHIVE)

    return Image(reference, cache.made("image-runbookd", key, make) / ARCHIVE)


def program(name: str) -> Path:
    """Return the archive of one of the bed's programs with all its tags. Raises KeyError."""
    bed = ROOT / "tests" / "bed"
    sources = (bed / "task_manager", bed / "cluster" / "probe_app.py")
    key = cache.digest(*sources, also=f"{_base()} {TAGS[name]}")

    def make(folder: Path) -> None:
        programs.say(f"building the image of {name}")
        buildah.build(_python_recipe(bed / "task_manager" / "Dockerfile"), PROGRAMS)
        for tag in TAGS[name]:
            # Not by build arguments: buildah takes the last build's for the same step's.
            with tempfile.TemporaryDirectory() as context:
                lines = f"FROM {PROGRAMS}\nENV MODULE={MODULES[name]} TAG={tag}\n"
                buildah.build(_recipe(lines, Path(context)), f"localhost/{name}:{tag}")
        # A reference without a host means this one, to every container runtime.
        images = {
            f"localhost/{name}:{tag}": f"docker.io/library/{name}:{tag}" for tag in TAGS[name]
        }
        buildah.archive(images, folder / ARCHIVE)

    return cache.made(f"image-{name}", key, make) / ARCHIVE


def _recipe(dockerfile: str, context: Path) -> Recipe:
    """Write a Dockerfile into its context."""
    file = context / "Dockerfile"
    file.write_text(dockerfile)
    return Recipe(file, context)


def _python_recipe(dockerfile: Path) -> Recipe:
    """Return a recipe whose build may fetch packages as this machine does."""
    if not buildah.identity(_base()):
        _make_base()
    told = {name: os.environ[name] for name in TOLD if name in os.environ}
    certificates = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    mounts = {}
    if certificates:
        told["PIP_CERT"] = CERTIFICATES
        mounts[CERTIFICATES] = Path(certificates).resolve()
    return Recipe(dockerfile, ROOT, {"BASE": _base(), **told}, mounts)


def _base() -> str:
    """Return the name of the base image: this machine's own distribution, with Python."""
    return f"localhost/runbookd-base:{_release()}-{cache.digest(also=INCLUDED + FROM_SCRATCH)}"


def _release() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    if "VERSION_CODENAME" not in found:
        raise BedError("the base image is made of Debian or Ubuntu, and this machine runs neither")
    return found["VERSION_CODENAME"]


def _make_base() -> None:
    programs.say("making the base image from Debian's packages; a minute, once")
    with tempfile.TemporaryDirectory() as folder:
        rootfs, context = Path(folder) / "rootfs", Path(folder) / "context"
        context.mkdir()
        options = ("--variant=minbase", f"--include={INCLUDED}")
        _succeed(*ALONE, "debootstrap", *options, _release(), str(rootfs), _mirror())
        for name in UNNEEDED:
            shutil.rmtree(rootfs / name, ignore_errors=True)
        _succeed(
            "tar", "--numeric-owner", "-cf", str(context / "rootfs.tar"), "-C", str(rootfs), "."
        )
        buildah.build(_recipe(FROM_SCRATCH, context), _base())


def _mirror() -> str:
    """Return where this machine gets its packages from."""
    formatted = ("--format", "$(SITE) $(CODENAME)")
    listed = run_tool("apt-get", "indextargets", *formatted).stdout.splitlines()
    sites = [line.split()[0] for line in listed if line.endswith(f" {_release()}")]
    if not sites:
        raise BedError("apt-get names no mirror: apt-get update first")
    return sites[0]


def _succeed(*argv: str) -> None:
    done = run_tool(*argv, timeout_s=buildah.BUILD_SECONDS)
    if done.returncode != 0:
        raise BedError(f"{' '.join(argv)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
