"""Forms for the parameters of actions, made from their own models."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from exporter.shared.config import Section, format_duration
from responder.domain.values import Json, JsonObject
from responder.web.routing import refuse

PREFIX = "param."
"""Of the names of fields, so that a parameter may be called as it likes."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an action."""

    name: str
    note: str
    default: str
    """As people write it, or empty."""
    choices: tuple[str, ...]
    """Where only these may be."""
    is_required: bool
    kind: str
    """`list` is written with commas between, `object` as JSON; all else as it stands."""

    @property
    def field(self) -> str:
        """Return the name of its field in a form."""
        return f"{PREFIX}{self.name}"


def params_of(model: type[Section]) -> list[Param]:
    """Return what an action with these parameters can be told."""
    schema: JsonObject = model.model_json_schema()
    required, properties = schema.get("required"), schema.get("properties")
    needed = required if isinstance(required, list) else []
    found = properties if isinstance(properties, dict) else {}
    # Defaults as the model itself writes them: the schema has durations in ISO 8601.
    defaults = {(field.alias or name): field.default for name, field in model.model_fields.items()}
    return [
        _param(name, one, is_required=name in needed, default=defaults.get(name))
        for name, one in found.items()
        if isinstance(one, dict)
    ]


def read(params: Sequence[Param], fields: Mapping[str, str]) -> JsonObject:
    """Return the parameters that a form's fields give; the action's model judges them.

    Raises HTTPBadRequest for JSON that is none.
    """
    return {
        param.name: _value(param, fields[param.field])
        for param in params
        if fields.get(param.field)
    }


def _value(param: Param, text: str) -> Json:
    if param.kind == "list":
        return [part.strip() for part in text.split(",") if part.strip()]
    if param.kind == "object":
        try:
            found: Json = json.loads(text)
        except ValueError as error:
            raise refuse(f"{param.name} is not JSON: {error}") from error
        return found
    return text


def _param(name: str, schema: JsonObject, *, is_required: bool, default: object) -> Param:
    kinds = [schema, *(one for one in _list(schema.get("anyOf")) if isinstance(one, dict))]
    types = [str(one.get("type", "")) for one in kinds]
    kind = "list" if "array" in types else "object" if "object" in types else "text"
    choices = [str(one) for found in kinds for one in _list(found.get("enum"))]
    if "boolean" in types:
        choices = ["true", "false"]
    return Param(
        name,
        str(schema.get("description", "")),
        "" if is_required else _written(schema, default),
        tuple(choices),
        is_required,
        kind,
    )


def _written(schema: JsonObject, default: object) -> str:
    shown = schema.get("default")
    if isinstance(default, timedelta):
        return format_duration(default)
    if isinstance(shown, bool):
        return str(shown).lower()
    if isinstance(shown, dict | list):
        return ""
    return "" if shown is None else str(shown)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
