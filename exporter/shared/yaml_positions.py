"""YAML that remembers where each key and value stands, and problems that point there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from typing_extensions import override

from exporter.shared.errors import RunbookdError

Trail = tuple[str | int, ...]
"""The way to a value from the document's root: mapping keys and list indexes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration."""

    file: str
    """The file, or the name of the environment variable that set the value."""
    line: int
    column: int
    """Line and column count from 1; 0 when the problem has no place (an environment variable)."""
    message: str
    """One line, with a suggestion where there is one."""

    @override
    def __str__(self) -> str:
        """Return `file:line:column: message`."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class ConfigError(RunbookdError):
    """The configuration is wrong; `problems` says where, one line each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Document:
    """A YAML mapping, with the place of everything in it."""

    file: str
    root: Mapping[str, object] = field(default_factory=dict)
    values: Mapping[Trail, tuple[int, int]] = field(default_factory=dict)
    keys: Mapping[Trail, tuple[int, int]] = field(default_factory=dict)
    variables: Mapping[Trail, str] = field(default_factory=dict)
    """Environment variable by the trail of the value that it replaces."""

    def position(self, path: Trail, *, key: bool = False) -> tuple[int, int]:
        """Return line and column (from 1) of the value at `path`, or of its key.

        A path that is not there (a missing setting) has the place of the nearest one above it.
        """
        marks = self.keys if key else self.values
        while path and path not in marks:
            path, marks = path[:-1], self.values
        return marks.get(path, (1, 1))

    def at(self, path: Trail) -> object:
        """Return the value at `path`. Raises KeyError when there is none."""
        value: object = self.root
        for step in path:
            try:
                value = value[step]  # type: ignore[index]  # what cannot be indexed says so
            except (KeyError, IndexError, TypeError):
                raise KeyError(path) from None
        return value

    def has(self, path: Trail) -> bool:
        """Say whether there is a value at `path`."""
        try:
            self.at(path)
        except KeyError:
            return False
        return True


def problem(document: Document, path: Trail, message: str, *, key: bool = False) -> Problem:
    """Point at the value (or key) at `path`, or at the variable that set it."""
    for length in range(len(path), 0, -1):
        if path[:length] in document.variables:
            return Problem(document.variables[path[:length]], 0, 0, message)
    return Problem(document.file, *document.position(path, key=key), message)


def load_yaml(path: Path) -> Document:
    """Read a YAML file whose root is a mapping. Raises ConfigError with every problem found.

    The scalars are those of YAML 1.2 (`no`, `on` and `12:30` are text); keys are always text.
    An empty file is an empty mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {reason}")]) from error
    return read_yaml(text, file=str(path))


def read_yaml(text: str, *, file: str) -> Document:
    """Read YAML as `load_yaml` does; `file` is what problems name."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ConfigError([Problem(file, line, column, _syntax(error))]) from error
    except yaml.YAMLError as error:
        message = "it holds a character that YAML does not allow"
        raise ConfigError([Problem(file, 1, 1, message)]) from error
    if node is None:
        return Document(file)
    reader = _Reader(file)
    root = reader.read(node, ())
    if not isinstance(root, dict):
        reader.problems.append(
            Problem(file, *_place(node), "a mapping (`key: value`) belongs here")
        )
    if reader.problems:
        raise ConfigError(reader.problems)
    return Document(file, root if isinstance(root, dict) else {}, reader.values, reader.keys)


class _Loader(yaml.SafeLoader):
    """Resolves plain scalars by the core schema of YAML 1.2, so that `no` stays a word."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"^(?:{_pattern})$"),
        [letter.strip("\0") for letter in _first],
    )


class _Reader:
    """Turns YAML nodes into plain values and notes where they stand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.values: dict[Trail, tuple[int, int]] = {}
        self.keys: dict[Trail, tuple[int, int]] = {}
        self._open: set[int] = set()

    def read(self, node: yaml.Node, path: Trail) -> object:
        self.values[path] = _place(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            self._note(node, "this alias contains itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Trail) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, "a key must be plain text")
                continue
            name = str(key.value)
            if name in found:
                line, _ = self.keys[(*path, name)]
                self._note(key, f'"{name}" is there twice, first in line {line}')
                continue
            self.keys[(*path, name)] = _place(key)
            found[name] = self.read(value, (*path, name))
        return found

    def _scalar(self, node: yaml.ScalarNode) -> object:
        text, kind = str(node.value), node.tag.rpartition(":")[2]
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return int(text, 16) if text.startswith("0x") else int(text)
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
            case "str":
                return text
            case _:
                self._note(node, f"the tag {node.tag} is not allowed")
                return None

    def _note(self, node: yaml.Node, message: str) -> None:
        self.problems.append(Problem(self.file, *_place(node), message))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(error: yaml.MarkedYAMLError) -> str:
    what = " ".join((error.problem or "it is not YAML").split())
    if r"'\t'" in what:
        return "a tab stands where only spaces may (YAML does not indent by tabs)"
    context = f" {' '.join(error.context.split())}" if error.context else ""
    return f"not YAML: {what}{context}"
