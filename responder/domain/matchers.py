"""Alertmanager's label matchers: reading them and matching with them.

The grammar is the one that both of Alertmanager's parsers accept, with regular expressions read by
Python's `re`; constructs that only RE2 knows are not translated.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from typing_extensions import override

from responder.domain.values import Labels


class MatchOp(StrEnum):
    """Alertmanager's matcher operators."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """An Alertmanager matcher: a missing label is the empty string, regexes are anchored."""

    label: str
    op: MatchOp
    value: str

    def matches(self, labels: Labels) -> bool:
        """Say whether the label of this matcher is as wanted."""
        value = labels.get(self.label, "")
        match self.op:
            case MatchOp.EQUAL:
                return value == self.value
            case MatchOp.NOT_EQUAL:
                return value != self.value
            case MatchOp.REGEX:
                return re.fullmatch(self.value, value) is not None
            case MatchOp.NOT_REGEX:
                return re.fullmatch(self.value, value) is None
            case _:
                assert_never(self.op)

    def refusal(self, labels: Labels) -> str:
        """Say in words why `labels` do not match: `severity is "warning", wanted "critical"`."""
        found = labels.get(self.label, "")
        said = f"{self.label} is {quote(found)}" if found else f"it has no label {self.label}"
        wanted = {
            MatchOp.EQUAL: "wanted",
            MatchOp.NOT_EQUAL: "wanted anything but",
            MatchOp.REGEX: "wanted a match of",
            MatchOp.NOT_REGEX: "wanted no match of",
        }
        return f"{said}, {wanted[self.op]} {quote(self.value)}"

    @override
    def __str__(self) -> str:
        """Return the matcher as users write it; `parse_matcher` reads it back equal."""
        return f"{self.label}{self.op.value}{quote(self.value)}"


def quote(value: str) -> str:
    """Return `value` in double quotes, escaped as Alertmanager reads it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


_HEAD = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!=|!~|=)\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)
_BARE = re.compile(r"([^{}!=~,\\\"'`\s]+)\s*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}


def parse_matcher(text: str) -> Matcher:
    """Read one matcher: `severity="critical"`, `alertname=~"A|B"`. Raises ValueError."""
    matchers = parse_matchers(text)
    if len(matchers) != 1:
        raise ValueError(f"{text!r} is not one matcher")
    return matchers[0]


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Read a matcher list: `a="b",c=~"d|e"`, with or without braces. Raises ValueError."""
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip()
    if not body:
        raise ValueError("an empty matcher list; leave `match` out to match every alert")
    return tuple(_matchers(body))


def _matchers(body: str) -> Iterator[Matcher]:
    position = 0
    while position < len(body):
        matcher, position = _one(body, position)
        yield matcher
        if position < len(body):
            if body[position] != ",":
                raise ValueError(f"{body!r} needs a comma before {body[position:]!r}")
            position += 1


def _one(body: str, position: int) -> tuple[Matcher, int]:
    head = _HEAD.match(body, position)
    if head is None:
        wrong = body[position:].strip()
        raise ValueError(f'{wrong!r} is not a matcher; write it as label="value" or label=~"a|b"')
    label, op = head.group(1), MatchOp(head.group(2))
    found = _QUOTED.match(body, head.end()) or _BARE.match(body, head.end())
    if found is None:
        raise ValueError(f"{body[position:].strip()!r} has no value that can be read after {op}")
    value = found.group(1)
    if body[head.end()] == '"':
        value = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape.group(1), escape.group(0)), value)
    if op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{quote(value)} is not a regular expression: {error}") from error
    return Matcher(label, op, value), found.end()
