"""What a real cluster says of a machine that it cannot run on."""

import os
import subprocess
import sys
from pathlib import Path

UP = (sys.executable, "-m", "tests.bed.cluster.real", "up")


def run(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_machine_without_go_is_told_so_before_anything_starts(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    done = run(*UP, PATH=path, XDG_CACHE_HOME=str(tmp_path))
    said = "cluster: the cluster's programs are built once, by Go 1.26 or newer: install it\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_who_is_not_root_is_told_so_before_anything_starts() -> None:
    done = run("unshare", "--user", *UP)
    said = "cluster: a real cluster needs root: its pods are containers\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


def test_missing_packages_are_named(tmp_path: Path) -> None:
    done = run(*UP, PATH=str(tmp_path))
    [line] = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("cluster: a real cluster needs programs: apt-get install buildah ")
    assert " gcc " in line
