"""Reads values out of stored JSON, strictly: what is not as it was written raises ValueError."""

from collections.abc import Mapping
from datetime import timedelta

from responder.domain.values import Json, JsonObject


def text(document: Mapping[str, Json], key: str) -> str:
    """Return the string at `key`."""
    value = document.get(key)
    if isinstance(value, str):
        return value
    raise _wrong(key, value, "a string")


def flag(document: Mapping[str, Json], key: str) -> bool:
    """Return the boolean at `key`."""
    value = document.get(key)
    if isinstance(value, bool):
        return value
    raise _wrong(key, value, "true or false")


def count(document: Mapping[str, Json], key: str) -> int:
    """Return the integer at `key`."""
    value = document.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _wrong(key, value, "an integer")


def seconds(document: Mapping[str, Json], key: str) -> timedelta:
    """Return the number of seconds at `key` as a duration."""
    value = document.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    raise _wrong(key, value, "a number of seconds")


def mapping(document: Mapping[str, Json], key: str) -> JsonObject:
    """Return the object at `key`."""
    return as_mapping(document.get(key), key)


def items(document: Mapping[str, Json], key: str) -> list[Json]:
    """Return the list at `key`."""
    value = document.get(key)
    if isinstance(value, list):
        return value
    raise _wrong(key, value, "a list")


def as_mapping(value: Json, name: str) -> JsonObject:
    """Return `value` if it is an object; `name` says in the error what it was."""
    if isinstance(value, dict):
        return value
    raise _wrong(name, value, "an object")


def _wrong(name: str, value: Json, wanted: str) -> ValueError:
    return ValueError(f"{name!r} is {value!r}, not {wanted}")
