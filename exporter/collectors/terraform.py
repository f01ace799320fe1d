"""Whether the infrastructure still is what Terraform or OpenTofu says it is: by planning.

`plan` changes nothing: it runs on a copy of the directory, without a lock, and its output is only
counted, for it holds what is in the state, secrets too. It needs the credentials that a plan needs;
they come from the environment, by name.
"""

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
from pydantic import Field, model_validator

from exporter.command_port import Finished
from exporter.contract import (
    OTHER,
    Collected,
    CollectorSpec,
    Metric,
    PolledSource,
    Sample,
    bounded,
)
from exporter.ports import Clients
from exporter.shared.config import Duration, Section
from exporter.shared.errors import PermanentError, TransientError

PLAN = ("directory", "var_file")

DRIFT = Metric(
    "kpi_terraform_drift",
    "1 if a plan would change something: the infrastructure or its description has changed.",
    labels=PLAN,
)
CHANGES = Metric(
    "kpi_terraform_planned_changes",
    "Resources that a plan would change, by kind of change.",
    labels=(*PLAN, "change"),
)
OUTSIDE = Metric(
    "kpi_terraform_changed_outside",
    "Resources that were changed past Terraform since its last run, by kind of change.",
    labels=(*PLAN, "change"),
)
DURATION = Metric(
    "kpi_terraform_run_seconds",
    "Time that the last plan took, with the copy and the init before it.",
    labels=PLAN,
)

CHANGE_KINDS = ("create", "update", "replace", "delete")
"""Actions of the machine-readable UI that change infrastructure; `move`, `forget` and the like
become `Other`, `read` and `noop` change nothing."""
CHANGES_KNOWN = frozenset(CHANGE_KINDS)
NO_CHANGE = frozenset({"noop", "read"})

PASSED_ON = ("HOME", "LANG", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR")
"""Variables that every program is given."""
ALWAYS: Mapping[str, str] = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}

MAX_OUTPUT = 64 * 1024 * 1024
PROVIDERS = Path(".terraform") / "providers"
NOT_COPIED = frozenset({".git"})


class Directory(Section):
    """A root module, and the values it is planned with."""

    name: str
    """Value of the label `directory`."""
    path: Path
    """The folder; `init` runs on the copy where it holds no `.terraform`."""
    root: Path | None = None
    """The folder that is copied, where the modules lie outside `path` (`../modules`)."""
    var_files: tuple[str, ...] = ()
    """Files of values, from `path`; a plan for each of them, without any: one plan."""

    @model_validator(mode="after")
    def _root_holds_path(self) -> "Directory":
        if self.root is not None and not self.path.is_relative_to(self.root):
            raise ValueError(f"root {self.root} does not hold path {self.path}")
        return self


class Settings(Section):
    """What is planned; each plan reads all of the infrastructure that it is about."""

    program: str = "terraform"
    """The program: `terraform`, `tofu`, or a path."""
    directories: tuple[Directory, ...] = ()
    """The root modules."""
    interval: Duration = timedelta(hours=6)
    """Time between two plans of one module."""
    timeout: Duration = timedelta(minutes=10)
    """Time that a plan may take; then it is ended, with what it started."""
    refresh: bool = True
    """Whether the plan looks at the infrastructure; without, it only compares with the state."""
    environment: tuple[str, ...] = ()
    """Names of the variables that the program may see beside PATH and HOME (`AWS_PROFILE`, …)."""
    max_copy_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    """Largest folder that is copied, without `.git` and the providers."""


class Change(msgspec.Struct, frozen=True):
    """What happens to a resource."""

    action: str = ""


class Line(msgspec.Struct, frozen=True):
    """A line of the machine-readable UI; all but kinds are skipped undecoded."""

    type: str = ""
    level: str = msgspec.field(default="", name="@level")
    change: Change = Change()


def counted(lines: Iterable[bytes]) -> Mapping[str, Counter[str]]:
    """Count the lines by type, then by kind of change; what is no JSON is skipped."""
    found: dict[str, Counter[str]] = {"planned_change": Counter(), "resource_drift": Counter()}
    decoder = msgspec.json.Decoder(Line)
    for line in lines:
        try:
            said = decoder.decode(line)
        except msgspec.DecodeError:
            continue
        if said.type in found and said.change.action not in NO_CHANGE:
            found[said.type][bounded(said.change.action, CHANGES_KNOWN)] += 1
    return found


def plan_samples(labels: tuple[str, str], finished: Finished) -> Iterator[Sample]:
    """Describe a plan that came to its end, with changes (2) or without (0)."""
    yield Sample(DRIFT, labels, float(finished.code == 2))
    found = counted(finished.lines)
    for metric, changes in (
        (CHANGES, found["planned_change"]),
        (OUTSIDE, found["resource_drift"]),
    ):
        for kind in (*CHANGE_KINDS, OTHER):
            yield Sample(metric, (*labels, kind), changes[kind])


def environment(own: Mapping[str, str], allowed: Collection[str]) -> Mapping[str, str]:
    """Return what the program may see of `own`."""
    return {name: own[name] for name in (*PASSED_ON, *allowed) if name in own} | dict(ALWAYS)


def copied(source: Path, target: Path, max_bytes: int) -> None:
    """Copy `source` to `target`, but for `.git`; providers are linked, for they are large.

    Raises PermanentError when it is larger than `max_bytes` or cannot be read.
    """
    left = max_bytes

    def skipped(folder: str, names: list[str]) -> set[str]:
        nonlocal left
        here = Path(folder)
        skip = {name for name in names if name in NOT_COPIED or (here / name).match(str(PROVIDERS))}
        left -= sum((here / name).lstat().st_size for name in names if name not in skip)
        if left < 0:
            raise PermanentError(f"{source} is larger than {max_bytes} bytes (max_copy_bytes)")
        return skip

    try:
        shutil.copytree(source, target, symlinks=True, ignore=skipped)
        for providers in source.rglob(str(PROVIDERS)):
            (target / providers.relative_to(source)).symlink_to(providers.resolve())
    except (OSError, shutil.Error) as error:
        raise PermanentError(f"{source} cannot be copied: {type(error).__name__}") from error


class Plan:
    """One root module with one set of values."""

    def __init__(
        self, directory: Directory, var_file: str, settings: Settings, clients: Clients
    ) -> None:
        self._directory = directory
        self._var_file = var_file
        self._settings = settings
        self._clients = clients

    async def collect(self) -> Collected:
        """Plan once, on a copy that is removed afterwards, with the state in it.

        Raises PermanentError when the plan fails, TransientError when it takes too long.
        """
        began = self._clients.clock.monotonic()
        scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="runbookd-plan-"))
        try:
            finished = await self._planned(scratch / "copy")
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        labels = (self._directory.name, self._var_file)
        took = self._clients.clock.monotonic() - began
        return Collected([*plan_samples(labels, finished), Sample(DURATION, labels, took)])

    async def _planned(self, copy: Path) -> Finished:
        path = self._directory.path.resolve()
        root = (self._directory.root or path).resolve()
        await asyncio.to_thread(copied, root, copy, self._settings.max_copy_bytes)
        folder = copy / path.relative_to(root)
        if not (folder / ".terraform").exists():
            await self._run(folder, "init", "-input=false", "-no-color")
        values = [f"-var-file={self._var_file}"] if self._var_file else []
        return await self._run(
            folder,
            "plan",
            "-lock=false",
            "-detailed-exitcode",
            "-json",
            "-input=false",
            f"-refresh={'true' if self._settings.refresh else 'false'}",
            *values,
        )

    async def _run(self, folder: Path, verb: str, *options: str) -> Finished:
        """Run the program. Raises PermanentError when it fails, which 2 is not: it has changes."""
        finished = await self._clients.commands.run(
            (self._settings.program, verb, *options),
            folder=folder,
            environment=environment(os.environ, self._settings.environment),
            deadline=self._settings.timeout,
            max_bytes=MAX_OUTPUT,
        )
        if finished.code < 0:
            raise TransientError(f"{verb} was ended by signal {-finished.code}")
        if finished.code not in (0, 2):
            # What it says may hold secrets: whoever may see them can run it.
            where = self._directory.path
            raise PermanentError(f"{verb} of {where} failed ({finished.code}); run it there to see")
        return finished


def _sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    """Return a source for each plan; they wait for each other, so each may take all their time."""
    plans = [
        (directory, var_file)
        for directory in settings.directories
        for var_file in directory.var_files or ("",)
    ]
    return [
        PolledSource(
            f"{directory.name}/{var_file}" if var_file else directory.name,
            settings.interval,
            settings.timeout * 2 * len(plans),
            Plan(directory, var_file, settings, clients).collect,
        )
        for directory, var_file in plans
    ]


SPEC = CollectorSpec(
    name="terraform",
    help="Drift between the infrastructure and what Terraform or OpenTofu says of it.",
    settings=Settings,
    metrics=(DRIFT, CHANGES, OUTSIDE, DURATION),
    sources=_sources,
)
