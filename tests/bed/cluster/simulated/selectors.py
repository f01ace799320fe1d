"""Label and field selectors."""

import re
from collections.abc import Callable, Mapping

from tests.bed.cluster.simulated.objects import Obj, labels, part
from tests.bed.cluster.simulated.status import ApiError

Predicate = Callable[[Obj], bool]

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^=!\s]+)\s*(?P<operator>==|=|!=)\s*(?P<value>[^=!\s]*)$")
_EXISTS = re.compile(r"^(?P<absent>!?)\s*(?P<key>[A-Za-z0-9][A-Za-z0-9._/-]*)$")
_COMMA = re.compile(r",(?![^(]*\))")  # one that is not inside the parentheses of a set

FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.uid",
    "status.phase",
    "spec.nodeName",
    "type",
    "reason",
)


def by_labels(selector: str) -> Predicate:
    """Read a label selector, equality-based and set-based.

    Raises ApiError (400) for one that cannot be read.
    """
    tests = [_requirement(item.strip()) for item in _COMMA.split(selector) if item.strip()]
    return lambda obj: all(test(labels(obj)) for test in tests)


def _requirement(item: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(item):
        key, wanted = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["operator"] == "in":
            return lambda have: have.get(key) in wanted
        return lambda have: have.get(key) not in wanted
    if found := _EQUAL.match(item):
        key, value = found["key"], found["value"]
        if found["operator"] == "!=":
            return lambda have: have.get(key) != value
        return lambda have: have.get(key) == value
    if found := _EXISTS.match(item):
        key, absent = found["key"], bool(found["absent"])
        return lambda have: (key in have) is not absent
    raise ApiError(400, f"unable to parse requirement: {item!r}")


def by_fields(selector: str) -> Predicate:
    """Read a field selector over FIELDS. Raises ApiError (400) for any other field."""
    tests: list[Predicate] = []
    for item in filter(None, (item.strip() for item in selector.split(","))):
        found = _EQUAL.match(item)
        if found is None or found["key"] not in FIELDS:
            raise ApiError(400, f"field label not supported: {item}")
        tests.append(_field(found["key"], found["value"], equal=found["operator"] != "!="))
    return lambda obj: all(test(obj) for test in tests)


def _field(key: str, value: str, *, equal: bool) -> Predicate:
    *path, last = key.split(".")
    return lambda obj: (str(part(obj, *path).get(last) or "") == value) is equal


def by_object(selector: Obj) -> Predicate:
    """Read a LabelSelector object; an empty one matches nothing."""
    matches = part(selector, "matchLabels")
    expressions = selector.get("matchExpressions")
    tests = [_requirement(f"{key}={value}") for key, value in matches.items()]
    for item in expressions if isinstance(expressions, list) else []:
        key, operator = item["key"], item["operator"]
        if operator in {"In", "NotIn"}:
            tests.append(_requirement(f"{key} {operator.lower()} ({','.join(item['values'])})"))
        else:
            tests.append(_requirement(key if operator == "Exists" else f"!{key}"))
    return lambda obj: bool(tests) and all(test(labels(obj)) for test in tests)
