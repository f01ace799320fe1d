"""Settings and policies: strict models, Prometheus durations, errors with positions."""

import difflib
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource
from typing_extensions import override

from exporter.shared.yaml_positions import (
    ConfigError,
    Document,
    Problem,
    Trail,
    load_yaml,
    problem,
    read_yaml,
)

__all__ = [
    "ConfigError",
    "Document",
    "Duration",
    "Problem",
    "SecretFile",
    "Section",
    "Trail",
    "filled_in",
    "format_duration",
    "load_document",
    "load_settings",
    "load_yaml",
    "nearest",
    "parse_duration",
    "problem",
    "read_yaml",
    "validate",
]

SecretFile = Path
"""A file that holds a secret: settings carry its path, the secret is read when it is used."""

ModelT = TypeVar("ModelT", bound=BaseModel)


class Section(BaseModel):
    """A frozen part of a configuration that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def filled_in(by: str, *fields: str) -> Callable[[JsonDict], None]:
    """Say in a model's JSON Schema that `by` stands in for fields that are required without it.

    For a model whose validator fills them in before they are looked at.
    """

    def change(schema: JsonDict) -> None:
        required = schema.get("required")
        if isinstance(required, list):
            schema["required"] = [name for name in required if name not in fields]
        schema["anyOf"] = [{"required": [by]}, {"required": [*fields]}]

    return change


_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000}
_UNITS |= {"s": 1_000, "ms": 1}
_DURATION = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?"
)


def parse_duration(text: object) -> timedelta:
    """Read a Prometheus duration (`90s`, `1h30m`, `250ms`, `0`). Raises ValueError.

    Grammar: `<duration>` in Prometheus' configuration reference.
    """
    if isinstance(text, timedelta):
        return text
    if text in (0, "0"):
        return timedelta(0)
    found = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if found is None:
        raise ValueError(f"{text!r} is not a duration; write it as 90s, 5m or 1h30m")
    return timedelta(
        milliseconds=sum(
            int(number) * size
            for number, size in zip(found.groups(), _UNITS.values(), strict=True)
            if number
        )
    )


def format_duration(duration: timedelta) -> str:
    """Write a duration as Prometheus does: the largest units that divide it (`1h30m`, `0s`)."""
    rest = round(duration.total_seconds() * 1000)
    parts = []
    for unit, size in _UNITS.items():
        if unit in ("y", "w"):
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""A timedelta that is written as a Prometheus duration."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Say what `word` may have been meant to be: `did you mean "x"?`, or the words there are."""
    words = sorted(known)
    close = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known here: {', '.join(words)}" if words else "nothing may stand here"


def validate(
    model: type[ModelT], document: Document, *, path: Trail = (), noun: str = "setting"
) -> ModelT:
    """Read the value at `path` of `document` as `model`.

    Raises ConfigError with one problem per mistake; `noun` is what a key is called in them.
    """
    try:
        return model.model_validate(document.at(path))
    except ValidationError as error:
        problems = {
            _problem(model, document, path, details, noun): None
            for details in error.errors(include_url=False)
        }
        in_order = sorted(problems, key=lambda each: (each.line, each.column))
        raise ConfigError(in_order) from error


def load_settings(
    model: type[ModelT], path: Path | None, *, prefix: str, environ: Mapping[str, str]
) -> ModelT:
    """Read settings from a YAML file and from `PREFIX__SECTION__KEY` variables, which win.

    Without a file only the variables count. Raises ConfigError, also for variables with the
    prefix that name no setting.
    """
    return validate(model, load_document(model, path, prefix=prefix, environ=environ))


def load_document(
    model: type[BaseModel], path: Path | None, *, prefix: str, environ: Mapping[str, str]
) -> Document:
    """Merge the file and the variables as `load_settings` does, but do not validate the values."""
    document = load_yaml(path) if path else Document("settings")
    own = {name: value for name, value in environ.items() if name.upper().startswith(prefix)}
    variables = {_trail(name, prefix): name for name in own}
    unknown = [
        Problem(name, 0, 0, f"is not a setting; {_nearest_variable(model, trail, prefix)}")
        for trail, name in variables.items()
        if not _types_at(model, trail)
    ]
    if unknown:
        raise ConfigError(unknown)
    root: dict[str, object] = dict(document.root)
    for name, value in own.items():
        try:
            root = _merged(root, _Variables(model, prefix, {name: value})())
        except ValueError as error:  # pydantic-settings reads lists and mappings as JSON
            raise ConfigError([Problem(name, 0, 0, "its value is not JSON")]) from error
    return Document(document.file, root, document.values, document.keys, variables)


class _Variables(EnvSettingsSource):
    """pydantic-settings' reader of variables, on a mapping instead of the process' own."""

    def __init__(self, model: type[BaseModel], prefix: str, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(
            typing.cast("type[BaseSettings]", model),  # it only looks at the model's fields
            case_sensitive=False,
            env_prefix=prefix,
            env_nested_delimiter="__",
        )

    @override
    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}


def _trail(name: str, prefix: str) -> Trail:
    return tuple(name[len(prefix) :].lower().split("__"))


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[key] = _merged(under, value)
        else:
            merged[key] = value
    return merged


def _nearest_variable(model: type[BaseModel], trail: Trail, prefix: str) -> str:
    known = next(
        length for length in range(len(trail) - 1, -1, -1) if _types_at(model, trail[:length])
    )
    start = "".join(f"{step}__" for step in trail[:known])
    names = [f"{prefix}{start}{name}".upper() for name in _keys(_types_at(model, trail[:known]))]
    close = difflib.get_close_matches(f"{prefix}{'__'.join(map(str, trail))}".upper(), names, n=1)
    close = close or difflib.get_close_matches(f"{prefix}{start}{trail[known]}".upper(), names, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(names))}"


def _types_at(model: object, trail: Trail) -> list[object]:
    """Return the types that a value at `trail` of `model` may have; none: nothing may stand there.

    Steps that are no field (a union's tag, a validator's name) stay where they are when the model
    has no say about keys.
    """
    types_here = _alternatives(model)
    for step in trail:
        types_here = [inner for kind in types_here for inner in _step(kind, step)]
    return types_here


def _step(kind: object, step: str | int) -> list[object]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        found = kind.model_fields.get(str(step))
        return _alternatives(found.annotation) if found else []
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _alternatives(arguments[1])
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return _alternatives(arguments[0])
    return []


def _alternatives(annotation: object) -> list[object]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _alternatives(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return [kind for argument in arguments for kind in _alternatives(argument)]
    return [annotation]


def _keys(kinds: Iterable[object]) -> list[str]:
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [name for model in models for name in model.model_fields]


def _problem(
    model: type[BaseModel], document: Document, base: Trail, details: ErrorDetails, noun: str
) -> Problem:
    """Say one of pydantic's errors in words for people, at its place in the document."""
    trail = base
    for step in details["loc"]:  # steps that are not in the document name a union's branch
        if document.has((*trail, step)):
            trail = (*trail, step)
    name, kind = _dotted(trail), details["type"]
    if kind == "extra_forbidden":
        known = _keys(_types_at(model, trail[len(base) : -1]))
        message = f"{name} is not a {noun}; {nearest(str(trail[-1]), known)}"
        return problem(document, trail, message, key=True)
    if kind == "missing":
        missing = _dotted((*trail, details["loc"][-1]))
        return problem(document, trail, f"{missing} is missing")
    return problem(document, trail, f"{name}{_complaint(details)}")


def _complaint(details: ErrorDetails) -> str:
    context, value = details.get("ctx", {}), details["input"]
    if details["type"] in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        shown = f'"{value.value if isinstance(value, Enum) else value}"'
        return f": {shown} is not one of {', '.join(choices)}" + _meant(str(value), choices)
    if details["type"] in ("value_error", "assertion_error"):
        return f": {context.get('error', details['msg'])}"
    if details["type"] == "union_tag_invalid":
        choices = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
        tag = str(context.get("tag", ""))
        return f': "{tag}" is not one of {", ".join(choices)}{_meant(tag, choices)}'
    text = details["msg"]
    return " " + text.removeprefix("Input ") if text.startswith("Input ") else f": {text}"


def _meant(word: str, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(word.lower(), choices, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def _dotted(trail: Trail) -> str:
    text = ""
    for step in trail:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the document"
