"""Grafana's own types, and TypeScript's compiler: they tell whether a dashboard is one.

What goes in is pinned by hash in `grafana/package-lock.json`.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.bed.cluster.real import cache
from tests.bed.process import BedError, program, run_tool

SOURCE = Path(__file__).parent / "grafana"
INSTALL_SECONDS = 300.0
OF_PROMETHEUS = ("expr", "step", "titleFormat")
"""What the schema of an annotation leaves to its data source, and Prometheus' reads."""
HEAD = """import type { Dashboard } from "@grafana/schema";

// JSON holds an enum's text, which TypeScript takes for another type than the enum.
type Written<T> = T extends string
  ? `${T}`
  : T extends (infer Each)[]
    ? Written<Each>[]
    : T extends object
      ? { [Key in keyof T]: Written<T[Key]> }
      : T;

export const board: Written<Dashboard> = """
"""An object that is imported may have more than its type says; one that is written out may not."""
OPTIONS = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022")
MODULES = ("--module", "nodenext", "--moduleResolution", "nodenext")


def faults(board: Mapping[str, object], folder: Path) -> str:
    """Return what the compiler says against a dashboard, or nothing. Raises BedError."""
    home = folder / "types"
    if not home.is_dir():
        home.mkdir()
        (home / "node_modules").symlink_to(_installed() / "node_modules")
    file = home / "board.ts"
    file.write_text(f"{HEAD}{json.dumps(_without_prometheus(board), indent=1)};\n")
    compiler = home / "node_modules" / ".bin" / "tsc"
    return run_tool(str(compiler), *OPTIONS, *MODULES, file, cwd=home).stdout


def _without_prometheus(board: Mapping[str, object]) -> Mapping[str, object]:
    """Return the dashboard without what its type cannot know."""
    annotations = board["annotations"]
    assert isinstance(annotations, dict)
    marks = [
        {name: value for name, value in mark.items() if name not in OF_PROMETHEUS}
        for mark in annotations.get("list", [])
    ]
    return {**board, "annotations": {"list": marks}}


def _installed() -> Path:
    return cache.made("grafana-types", cache.digest(SOURCE), _install)


def _install(out: Path) -> None:
    for file in SOURCE.iterdir():
        shutil.copy(file, out)
    words = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    done = run_tool(program("npm", package="npm"), *words, cwd=out, timeout_s=INSTALL_SECONDS)
    if done.returncode != 0:
        raise BedError(f"npm ci failed:\n{done.stdout}{done.stderr}")
