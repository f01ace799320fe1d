"""Makes the shipped configuration faster: each duration divided by one factor, and nothing else.

Files are changed as text, at the places where YAML says a scalar stands, so that comments, order
and quoting stay. A scalar that is a duration as a whole is divided; below PromQL's keys the
durations of the expression are. Labels and texts for people are left alone, and so is what measures
the application and not the passing of time.
"""

import json
import re
from collections.abc import Iterator

import yaml

UNITS_MS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
WRITTEN = ("h", "m", "s", "ms")
PROMQL_KEYS = frozenset({"expr", "query", "promql"})
LEFT_ALONE = frozenset(
    {
        "annotations",
        "labels",
        "description",
        "summary",
        "apdex",  # a bound on response times, which a faster clock does not shorten
    }
)

_PART = re.compile(r"(\d+)(ms|[ywdhms])")
_DURATION = re.compile(r"(?:\d+(?:ms|[ywdhms]))+")
_PROMQL = re.compile(
    r"""
      (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` )
    | (?P<comment> \#[^\n]* )
    | (?P<range> \[[^\]]*\] )                       # in here a colon parts, elsewhere it joins
    | (?P<name> [A-Za-z_:][\w:]* )
    | (?P<duration> (?:\d+(?:ms|[ywdhms]))+(?!\w) )
    | (?P<number> [\d.][\w.]* )
    """,
    re.VERBOSE,
)

Edit = tuple[int, int, str]


def scale_duration(text: str, factor: float) -> str:
    """Divide a Prometheus duration, rounded to milliseconds; zero stays as it is written.

    What is not zero never becomes zero. Raises ValueError when `text` is no duration.
    """
    if _DURATION.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a duration")
    whole = sum(int(count) * UNITS_MS[unit] for count, unit in _PART.findall(text))
    if whole == 0:
        return text
    rest = max(1, round(whole / factor))
    unit = next(unit for unit in WRITTEN if rest % UNITS_MS[unit] == 0)
    return f"{rest // UNITS_MS[unit]}{unit}"


def scale_promql(text: str, factor: float) -> str:
    """Divide the durations of an expression; strings, comments, names and numbers stay."""

    def scaled(found: re.Match[str]) -> str:
        match found.lastgroup:
            case "duration":
                return scale_duration(found[0], factor)
            case "range":
                return _DURATION.sub(lambda part: scale_duration(part[0], factor), found[0])
            case _:
                return found[0]

    return _PROMQL.sub(scaled, text)


def scale_yaml(text: str, factor: float) -> str:
    """Divide every duration in a YAML file (rules, policies, settings, Alertmanager's)."""
    edits = {  # a set: an anchor is met once more at each of its aliases
        edit
        for document in yaml.compose_all(text, Loader=yaml.SafeLoader)
        for edit in _edits(document, text, factor, key="")
    }
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _edits(node: yaml.Node, text: str, factor: float, key: str) -> Iterator[Edit]:
    match node:
        case yaml.MappingNode():
            for name, value in node.value:
                if name.value not in LEFT_ALONE:
                    yield from _edits(value, text, factor, key=name.value)
        case yaml.SequenceNode():
            for item in node.value:
                yield from _edits(item, text, factor, key)
        case yaml.ScalarNode():
            start, end = node.start_mark.index, node.end_mark.index
            new = _scalar(node, text[start:end], factor, key)
            if new != text[start:end]:
                yield start, end, new
        case _:
            raise TypeError(f"YAML has no fourth kind of node: {node}")


def _scalar(node: yaml.ScalarNode, source: str, factor: float, key: str) -> str:
    """Return the source of a scalar, divided; `source` has its quotes or its block header."""
    if _DURATION.fullmatch(node.value):
        return source.replace(node.value, scale_duration(node.value, factor))
    if key not in PROMQL_KEYS:
        return source
    if node.style not in ("'", '"'):
        return scale_promql(source, factor)
    expression = scale_promql(node.value, factor)
    if expression == node.value:
        return source
    if node.style == "'":
        return "'" + expression.replace("'", "''") + "'"
    return json.dumps(expression, ensure_ascii=False)
