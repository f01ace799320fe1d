"""From the OpenAPI document to what the page of the API shows."""

from collections.abc import Iterable
from dataclasses import dataclass

from responder.domain.values import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a type in words."""

    text: str
    is_model: bool = False
    """Whether it names a model, which has a section of its own."""


@dataclass(frozen=True, slots=True)
class Type:
    """A type in words."""

    parts: tuple[Part, ...]

    @property
    def words(self) -> str:
        """Return it as one text."""
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class Operation:
    """One address with one method."""

    method: str
    path: str
    summary: str
    note: str
    takes: Type | None
    answers: tuple[tuple[str, Type], ...]
    """Status and type of what is no error."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a model."""

    name: str
    type: Type
    is_required: bool
    note: str


@dataclass(frozen=True, slots=True)
class Schema:
    """One model."""

    name: str
    note: str
    fields: tuple[Field, ...]


def operations(document: JsonObject) -> list[Operation]:
    """Return the operations in the document's own order."""
    return [
        _operation(method, path, _mapping(operation))
        for path, methods in _mapping(document.get("paths")).items()
        for method, operation in _mapping(methods).items()
    ]


def schemas(document: JsonObject) -> list[Schema]:
    """Return the models by name."""
    found = _mapping(_mapping(document.get("components")).get("schemas"))
    return [_schema(name, _mapping(one)) for name, one in sorted(found.items())]


def _operation(method: str, path: str, operation: JsonObject) -> Operation:
    takes = _mapping(operation.get("requestBody"))
    answers = {
        status: _content(_mapping(answer))
        for status, answer in _mapping(operation.get("responses")).items()
        if status < "300"
    }
    return Operation(
        method.upper(),
        path,
        _text(operation, "summary"),
        _text(operation, "description"),
        _content(takes) if takes else None,
        tuple(answers.items()),
    )


def _content(body: JsonObject) -> Type:
    for kind, content in _mapping(body.get("content")).items():
        if kind == "application/json":
            return _type(_mapping(_mapping(content).get("schema")))
        return _plain(kind)
    return _plain("nothing")


def _schema(name: str, schema: JsonObject) -> Schema:
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    properties = _mapping(schema.get("properties"))
    return Schema(
        name,
        _text(schema, "description"),
        tuple(
            Field(one, _type(_mapping(value)), one in needed, _text(_mapping(value), "description"))
            for one, value in properties.items()
        ),
    )


def _type(schema: JsonObject) -> Type:
    """Say a JSON schema in words: `list of IncidentView`, `text or null`."""
    reference = _text(schema, "$ref").rpartition("/")[2]
    if reference:
        return Type((Part(reference, is_model=True),))
    choices = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(choices, list):
        return _joined((_type(_mapping(one)) for one in choices), " or ")
    values = schema.get("enum")
    if isinstance(values, list):
        return _plain(" | ".join(map(str, values)))
    kind = _text(schema, "type")
    inner = schema.get("items") if kind == "array" else schema.get("additionalProperties")
    if isinstance(inner, dict):
        word = "list of " if kind == "array" else "object of "
        return Type((Part(word), *_type(inner).parts))
    return _plain(_text(schema, "format") or WORDS.get(kind, kind or "anything"))


WORDS = {"string": "text", "boolean": "true | false", "array": "list"}


def _joined(types: Iterable[Type], between: str) -> Type:
    parts: list[Part] = []
    for one in types:
        parts += [Part(between), *one.parts] if parts else one.parts
    return Type(tuple(parts))


def _plain(text: str) -> Type:
    return Type((Part(text),))


def _mapping(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _text(document: JsonObject, key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""
