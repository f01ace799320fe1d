"""A settings file that explains itself, made from the models."""

import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter import app as composition
from exporter.settings import PREFIX

HEAD = f"""\
# Settings of kpi-exporter: everything that can be set, with its default where it has one.
# A line that begins with # and a setting is switched off: take the # away, not the blanks.
# A variable wins over this file: {PREFIX}LISTEN__PORT=9842. Durations: 90s, 5m, 1h30m.
"""

INDENT = "  "
WIDTH = 100

SHAPES: Mapping[object, str] = {
    str: "text",
    int: "1",
    float: "1.0",
    bool: "true",
    timedelta: "30s",
    Path: "/path/of/a/file",
}
"""What stands for a value that has no default."""


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    off: bool = False


def example(specs: composition.Specs) -> str:
    """Return the file; as it stands it says what an empty file says."""
    model = composition.model(specs)
    helps = {name: spec.help for name, spec in specs.items()}
    found: list[_Line] = []
    for name, field in model.model_fields.items():
        found += (_Line(""), *_setting(model, name, field, "", off=False, helps=helps))
    return HEAD + "".join(f"{'#' if line.off else ''}{line.text}".rstrip() + "\n" for line in found)


def _setting(
    model: type[BaseModel],
    name: str,
    field: FieldInfo,
    indent: str,
    *,
    off: bool,
    helps: Mapping[str, str],
) -> Iterator[_Line]:
    """Write one setting: what it is, and its default or what it may look like."""
    yield from _docs(field.description or helps.get(name, ""), indent, off=off)
    section, is_list = _section(field.annotation)
    default = _default(model, name)
    if section is None:
        switched_off = off or default is None
        value = _shape(field.annotation) if default is None else _flow(default)
        yield _Line(f"{indent}{name}: {value}", off=switched_off)
        return
    off = off or is_list or default is None
    yield _Line(f"{indent}{name}:", off=off)
    inner = indent + INDENT
    if is_list:
        yield _Line(f"{inner}-", off=off)
        inner += INDENT
    for inner_name, details in section.model_fields.items():
        yield from _setting(section, inner_name, details, inner, off=off, helps=helps)


def _docs(text: str, indent: str, *, off: bool) -> Iterator[_Line]:
    """Write a description as comments."""
    for line in textwrap.wrap(" ".join(text.split()), WIDTH - len(indent) - 2):
        yield _Line(f"{indent}# {line}", off=off)


def _default(model: type[BaseModel], name: str) -> object:
    """Return the default of a field as it is written in a file, None where it has none."""
    made = model.model_construct()
    if not hasattr(made, name):
        return None
    return made.model_dump(mode="json", include={name}, warnings=False)[name]


def _section(annotation: object) -> tuple[type[BaseModel] | None, bool]:
    """Return the model that a value has, and whether it is a list of such."""
    for kind in _alternatives(annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind, False
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if isinstance(origin, type) and issubclass(origin, Sequence) and arguments:
            inner, _ = _section(arguments[0])
            if inner is not None:
                return inner, True
    return None, False


def _shape(annotation: object) -> str:
    """Return what a value without a default may look like."""
    for kind in _alternatives(annotation):
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if kind in SHAPES:
            return SHAPES[kind]
        if origin is typing.Literal:
            return _flow(arguments[0])
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return f"{{key: {_shape(arguments[1])}}}"
        if isinstance(origin, type) and issubclass(origin, Sequence):
            return f"[{_shape(arguments[0])}]"
    return "null"


def _alternatives(annotation: object) -> list[object]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _alternatives(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return [kind for each in arguments for kind in _alternatives(each)]
    return [annotation]


def _flow(value: object) -> str:
    """Write a value in one line of YAML."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
