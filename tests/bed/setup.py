"""Makes a bare machine ready: programs from Debian, and .venv from the lock with hashes checked.

Runs on the standard library alone, before anything is installed. Says what it does while it works,
and nothing when there is nothing to do.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements-dev.lock"
STAMP = VENV / ".set-up"  # written last: without it the environment is half made
OLDEST = (3, 11)
POLICY = Path("/usr/sbin/policy-rc.d")
CLUSTER = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "debootstrap": "debootstrap",
    "gcc": "gcc",
    "iproute2": "ip",
    "nftables": "nft",
    "npm": "npm",
    "runc": "runc",
}
"""Debian's package → its program, of what `make e2e` needs besides; Go is not Debian's."""
PEERS = ("prometheus-blackbox-exporter", "prometheus-postgres-exporter")
"""Exporters that ours are compared with; package and program bear one name."""
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/runbookd-setup.conf")


class SetupError(Exception):
    """The machine cannot be made ready; its message says what to do."""


def main() -> int:
    """Set up what is missing, with `--cluster` also for a real cluster; returns the exit code."""
    cluster = missing_for_cluster() if "--cluster" in sys.argv[1:] else []
    try:
        require_python()
        install_packages([*missing_packages(), *cluster])
        make_environment()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"setup: failed ({error.returncode}): {error.cmd}", file=sys.stderr)
        return 1
    return 0


def require_python() -> None:
    """Refuse an interpreter that the project does not run on."""
    if sys.version_info < OLDEST:
        raise SetupError(f"Python {sys.version.split()[0]} is too old: make PYTHON=python3.11 …")


def say(what: str) -> None:
    print(f"setup: {what} …", flush=True)


def run(*argv: str | Path, env: dict[str, str] | None = None) -> None:
    """Run a command; its own words are shown only when it fails. Raises CalledProcessError."""
    words = [str(word) for word in argv]
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
    )
    if done.returncode != 0:
        print(done.stdout, file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, " ".join(words))


def missing_packages() -> list[str]:
    """Return Debian's packages for the programs that are not here, by name."""
    here = {
        "python3-venv": _has_module("ensurepip") and _has_module("venv"),
        "postgresql": any(Path("/usr/lib/postgresql").glob("*/bin/postgres")) or _has("postgres"),
        "pgbouncer": _has("pgbouncer"),
        "chromium": _has("chromium"),
        "prometheus": _has("prometheus"),
        "promtool": _has("promtool") or not _has("prometheus"),
        "prometheus-alertmanager": _has("prometheus-alertmanager") or _has("alertmanager"),
        **{package: _has(package) for package in PEERS},
        "ca-certificates": "SSL_CERT_FILE" in os.environ or _has("update-ca-certificates"),
    }
    return sorted(package for package, found in here.items() if not found)


def missing_for_cluster() -> list[str]:
    """Return Debian's packages that only the real cluster needs and that are not here, by name."""
    absent = [package for package, program in CLUSTER.items() if not _has(program)]
    headers = ["libc6-dev"] if "gcc" in absent else []
    return absent + headers


def install_packages(packages: list[str]) -> None:
    """Install packages without starting a service or making a database cluster."""
    if not packages:
        return
    names = " ".join(packages)
    if not _has("apt-get"):
        raise SetupError(f"programs are missing; install what Debian packages as: {names}")
    if os.geteuid() != 0:
        raise SetupError(f"programs are missing; as root: apt-get install {names}")
    say("reading Debian's package lists")
    run("apt-get", "-q", "update")
    say(f"installing {names}")
    with _no_service_starts(), _no_cluster_is_made():
        _install(packages)
        # From Debian 13 on the tool is no longer part of the server's package.
        if not _has("promtool") and "promtool" not in packages:
            _install(["promtool"])


def _install(packages: list[str]) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "-q", "-y", "--no-install-recommends", "install", *packages, env=quiet)


def make_environment() -> None:
    """Make .venv what the lock says, anew when it is missing or half made."""
    wanted = f"{VENV} {_digest()}"
    have = STAMP.read_text() if STAMP.exists() else ""
    if have == wanted and (VENV / "bin" / "python").exists():
        return
    # One that was moved here, or lost its interpreter, has scripts that no longer run.
    if not have.startswith(f"{VENV} ") or not _runs(VENV / "bin" / "python"):
        say("making .venv")
        run(sys.executable, "-m", "venv", "--clear", VENV)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
            pins.write(uv_pin(LOCK.read_text()))
            pins.flush()
            pip = (VENV / "bin" / "python", "-m", "pip", "--quiet", "install")
            run(*pip, "--require-hashes", "--no-deps", "-r", pins.name)
    STAMP.unlink(missing_ok=True)
    say("installing what the lock names")
    uv = (VENV / "bin" / "uv", "--quiet", "pip")
    to = ("--python", VENV / "bin" / "python")
    run(*uv, "sync", *to, "--require-hashes", LOCK)
    run(*uv, "install", *to, "--no-deps", "--no-build-isolation", "--editable", ROOT)
    STAMP.write_text(wanted)
    say("done")


def uv_pin(lock: str) -> str:
    """Return the lines of a lock that pin uv, with its hashes."""
    kept: list[str] = []
    for line in lock.splitlines():
        if line.startswith("uv==") or (kept and kept[-1].endswith("\\")):
            kept.append(line)
    if not kept:
        raise SetupError(f"{LOCK.name} does not pin uv")
    return "\n".join(kept) + "\n"


def _digest() -> str:
    """Return a hash over what the environment is made of."""
    sources = LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    return hashlib.sha256(sources).hexdigest()


def _has(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is not None


def _has_module(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def _runs(program: Path) -> bool:
    try:
        run(program, "--version")
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@contextlib.contextmanager
def _no_service_starts() -> Iterator[None]:
    """Forbid packages to start their services; whoever has a policy of their own keeps it."""
    with _file(POLICY, "#!/bin/sh\nexit 101\n"):
        yield


@contextlib.contextmanager
def _no_cluster_is_made() -> Iterator[None]:
    with _file(NO_CLUSTER, "create_main_cluster = false\n"):
        yield


@contextlib.contextmanager
def _file(path: Path, text: str) -> Iterator[None]:
    """Have a file, and the folders above, for a while; leave what was there before."""
    if path.exists():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
