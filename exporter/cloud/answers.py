"""Turns answers of the AWS API, dictionaries as boto3 makes them, into what we read of them."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from exporter.shared.errors import PermanentError

T = TypeVar("T")


class Camel(msgspec.Struct, frozen=True, rename="camel"):
    """A part of an answer of EKS or ECR; what is missing has a default."""


class Pascal(msgspec.Struct, frozen=True, rename="pascal"):
    """A part of an answer of the older services; what is missing has a default."""


def read(answer: Mapping[str, object], kind: type[T]) -> T:
    """Return `answer` as `kind`. Raises PermanentError when it has another shape."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise PermanentError(f"AWS answered in a shape we do not know: {error}") from error
