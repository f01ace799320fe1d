"""The last events, the newest at the end, as `kubectl get events | tail` has them."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from exporter.morning.amounts import span
from exporter.morning.finding import Finding, Mark
from exporter.morning.observed import Observed

LAST = 10


def events(seen: Observed) -> Iterator[Finding]:
    """Show them; an event is news and no verdict, so none is good or bad."""
    if seen.events is None:
        yield Finding(Mark.UNKNOWN, "Events", "", "the exporter does not show them")
        return
    for row in sorted(seen.events, key=_at)[-LAST:]:
        yield Finding(Mark.SHOWN, "Events", _word(row, "object", "namespace"), _text(seen, row))
    if not seen.events and seen.page.works("kubernetes", "events"):
        yield Finding(Mark.SHOWN, "Events", "", "none")


def _text(seen: Observed, row: Mapping[str, object]) -> str:
    count = row.get("count")
    times = f", {count} times" if isinstance(count, int) and count > 1 else ""
    try:
        age = f"{span(seen.age(datetime.fromisoformat(_at(row)).timestamp()))} ago: "
    except ValueError:
        age = ""
    warning = "Warning " if row.get("severity") == "Warning" else ""
    return f"{age}{warning}{_word(row, 'reason')}{times}: {_word(row, 'message')}"


def _at(row: Mapping[str, object]) -> str:
    """Return when it was; all are UTC and written alike, so that text sorts as time does."""
    return _word(row, "at")


def _word(row: Mapping[str, object], name: str, within: str = "") -> str:
    outer = str(row.get(within) or "") if within else ""
    word = str(row.get(name) or "")
    return f"{outer}/{word}" if outer else word
