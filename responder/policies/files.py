"""Finds and reads the policy files, and says where things stand in them."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from exporter.shared.config import (
    ConfigError,
    Document,
    Problem,
    Section,
    Trail,
    load_yaml,
    nearest,
    problem,
    validate,
)
from responder.policies.model import PolicyFile

SectionT = TypeVar("SectionT", bound=Section)

NOUN = "policy key"
"""What a key is called in messages."""


@dataclass(frozen=True, slots=True)
class Source:
    """One policy file, its parts not yet validated."""

    document: Document
    content: PolicyFile

    def wrong(self, trail: Trail, message: str, *, key: bool = False) -> Problem:
        """Point at something in the file."""
        return problem(self.document, trail, message, key=key)

    def place(self, trail: Trail) -> str:
        """Return `file:line` of the key at `trail`, for messages that name a second place."""
        return f"{self.document.file}:{self.document.position(trail, key=True)[0]}"

    def parts(
        self, model: type[SectionT], trails: Iterable[Trail], problems: list[Problem]
    ) -> Iterator[tuple[Trail, SectionT]]:
        """Yield what stands at each trail; what is not valid goes to `problems` instead."""
        for trail in trails:
            try:
                yield trail, validate(model, self.document, path=trail, noun=NOUN)
            except ConfigError as error:
                problems += error.problems

    @property
    def runbooks(self) -> list[Trail]:
        """Return the trail to every runbook."""
        return [("runbooks", index) for index in range(len(self.content.runbooks))]


def yaml_files(path: Path) -> list[Path]:
    """Return `path` itself, or every YAML file of the folder `path` in the order of their names."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))


def read(path: Path, problems: list[Problem]) -> list[Source]:
    """Read one policy file or a folder of them; files that are none go to `problems`."""
    files = yaml_files(path)
    if not files:
        problems.append(Problem(str(path), 0, 0, "holds no policy (*.yaml)"))
    sources = []
    for file in files:
        try:
            document = _known_keys(load_yaml(file), problems)
            sources.append(Source(document, validate(PolicyFile, document, noun=NOUN)))
        except ConfigError as error:
            problems += error.problems
    return sources


def without(document: Document, trail: Trail) -> Document:
    """Return the document without the value at `trail`, every other place as it was."""
    if not document.has(trail):
        return document
    cut = replace(document, root=deepcopy(dict(document.root)))
    holder = cut.at(trail[:-1])
    if isinstance(holder, dict):
        del holder[trail[-1]]
    return cut


def _known_keys(document: Document, problems: list[Problem]) -> Document:
    """Report the file's unknown keys and go on without them."""
    known = PolicyFile.model_fields
    for key in document.root.keys() - known:
        message = f"{key} is not a {NOUN}; {nearest(key, known)}"
        problems.append(problem(document, (key,), message, key=True))
        document = without(document, (key,))
    return document
