"""How the console writes times, numbers and states."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import chain, zip_longest

from markupsafe import Markup, escape

DAY = 86_400


def span(duration: timedelta) -> str:
    """Write a duration as people say it, in its two largest units: `12 s`, `4 min`, `2 h 5 min`."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < DAY:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // DAY} d {seconds % DAY // 3600} h"


def clock(at: datetime) -> str:
    """Write the time of day (UTC)."""
    return f"{at:%H:%M:%S}"


def moment(at: datetime) -> str:
    """Write date and time (UTC)."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def iso(at: datetime) -> str:
    """Write a time for programs."""
    return at.isoformat(timespec="seconds")


def spaced(word: str) -> str:
    """Write a word of the code for people: `cannot_tell` → `cannot tell`."""
    return word.replace("_", " ")


def ticks(text: str) -> Markup:
    """Show what stands between backticks as code; everything else stays text."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one that has no partner
        return escape(text)
    marked = (Markup("<code>{}</code>").format(part) for part in parts[1::2])
    plain = (escape(part) for part in parts[0::2])
    return Markup("").join(chain.from_iterable(zip_longest(plain, marked, fillvalue=Markup(""))))


def title_of(status: int) -> str:
    """Return the title of an HTTP status."""
    return HTTPStatus(status).phrase


FILTERS: Mapping[str, Callable[..., object]] = {
    "span": span,
    "clock": clock,
    "moment": moment,
    "iso": iso,
    "spaced": spaced,
    "ticks": ticks,
}
