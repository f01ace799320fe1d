"""What the machine must be and have, told in one line before anything starts."""

import os
import platform
import re
import shutil
from pathlib import Path

from tests.bed import go, setup
from tests.bed.cluster.real import programs
from tests.bed.process import BedError, run_tool

GO_MINOR = 26  # as the programs' go.mod files say


def missing() -> str:
    """Return in one line why no real cluster can run here; empty when one can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"a real cluster needs Linux on x86_64, not {platform.system()} {platform.machine()}"
    if os.geteuid() != 0:
        return "a real cluster needs root: its pods are containers"
    if absent := setup.missing_for_cluster():
        return f"a real cluster needs programs: apt-get install {' '.join(absent)}"
    if not programs.are_built() and not _go_is_new():
        return f"the cluster's programs are built once, by Go 1.{GO_MINOR} or newer: install it"
    return ""


def require() -> None:
    """Raise BedError with what is missing."""
    if why := missing():
        raise BedError(why)


def _go_is_new() -> bool:
    if shutil.which("go") is None:
        return False
    said = run_tool("go", "env", "GOVERSION", env=go.ENVIRONMENT, cwd=Path("/")).stdout
    found = re.match(r"go1\.(\d+)", said)
    return found is not None and int(found[1]) >= GO_MINOR
