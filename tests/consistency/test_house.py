"""Rules of the house that no linter knows."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("exporter", "responder", "charts", "tests")
FILE_LINES = 400
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-dev.lock")
OF_IMAGES = ("charts/image/requirements-build.lock", "tests/bed/task_manager/requirements.lock")
# Assembled, so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile("|".join(("/wor" + r"k/\w", "/roo" + "t/", "/hom" + r"e/\w")))


def sources() -> list[Path]:
    return sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - git is what brought the tree here
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def pins(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    found = (re.match(r"([A-Za-z0-9._-]+)(?:\[.*?\])?==([^\s;]+)", line) for line in lines)
    return {canonicalize_name(pin[1]): pin[2] for pin in found if pin}


def unpinned(requirements: list[str], lock: str) -> list[str]:
    locked = pins(lock)
    wanted = [Requirement(text) for text in requirements]
    return [
        str(need)
        for need in wanted
        if (version := locked.get(canonicalize_name(need.name))) is None
        or version not in need.specifier
    ]


def test_no_file_is_longer_than_the_budget() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    assert {str(path): n for path, n in lengths.items() if n > FILE_LINES} == {}


def test_what_is_shared_is_needed_by_both_programs() -> None:
    graph = grimp.build_graph("exporter", "responder")
    shared = graph.find_descendants("exporter.shared")
    lonely = {}
    for module in shared:
        users = {name.partition(".")[0] for name in graph.find_downstream_modules(module) - shared}
        if users != {"exporter", "responder"}:
            lonely[module] = sorted(users)
    assert lonely == {}


def test_the_project_speaks_of_no_machine_but_its_users() -> None:
    binary = {".png", ".gz", ".woff2", ".ico"}
    speaking = {
        str(path.relative_to(ROOT)): found[0]
        for path in tracked()
        if path.suffix not in binary and (found := MACHINE_PATHS.search(path.read_text()))
    }
    assert speaking == {}


@pytest.mark.parametrize("lock", [*LOCKS, *OF_IMAGES])
def test_a_lock_names_no_address_and_hashes_everything(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    for block in re.split(r"\n(?=\S)", text):
        if "==" in block:
            assert "--hash=sha256:" in block, block.splitlines()[0]


def test_both_locks_pin_what_the_project_needs() -> None:
    extras = PROJECT["project"]["optional-dependencies"].values()
    needs = [*PROJECT["project"]["dependencies"], *chain.from_iterable(extras)]  # the image's, too
    assert unpinned(needs, "requirements.lock") == []
    dev = [*needs, *PROJECT["dependency-groups"]["dev"]]
    assert unpinned(dev, "requirements-dev.lock") == []


def test_what_runs_is_the_same_in_both_locks() -> None:
    runs, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: version for name, version in runs.items() if dev.get(name) != version} == {}


@pytest.mark.parametrize("lock", OF_IMAGES)
def test_what_an_image_is_built_of_is_what_is_tested(lock: str) -> None:
    image, dev = pins(lock), pins("requirements-dev.lock")
    assert {name: version for name, version in image.items() if dev.get(name) != version} == {}


def test_continuous_integration_hides_nothing_beside_make() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines == ["#!/usr/bin/env bash", "set -eu", 'cd "$(dirname "$0")/.."', "make check test"]


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    found = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert found is not None
    shown = subprocess.run(
        ["make", "help"],  # noqa: S607 - the front door needs make anyway
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert [name for name in found[1].split() if f"  {name}\t" not in shown] == []
