"""Where the lines of a chart run: geometry alone, drawn by the template as SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import floor, isfinite, log10

WIDTH, HEIGHT = 640, 250
LEFT, RIGHT, TOP, BOTTOM = 68, 12, 62, 26
"""Margins: the values' labels, air, three rows of marks, the times."""

LABEL_WIDTH = 9.5
"""Of one character of a mark's label, in the chart's units, where it is largest (on a phone)."""
ROWS, ROW_HEIGHT = 3, 18
GAP = 2.5
"""Steps without a sample that break the line: one lost scrape is bridged, two are shown."""

Point = tuple[datetime, float]
XOf = Callable[[datetime], float]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened."""

    at: datetime
    label: str
    kind: str
    """`alert`, `act`, `verify` or `resolve`; names its colour."""


@dataclass(frozen=True, slots=True)
class PlacedMark:
    """A mark where it is drawn."""

    mark: Mark
    x: float
    label_y: float
    anchor: str
    """`start` or `end`: the side of the line that has room for the label."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One label of an axis."""

    position: float
    value: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that the template draws."""

    lines: tuple[str, ...]
    """Points of each unbroken stretch, as SVG's polyline wants them."""
    dots: tuple[tuple[float, float], ...]
    """Samples that stand alone."""
    target_y: float | None
    marks: tuple[PlacedMark, ...]
    values: tuple[Tick, ...]
    times: tuple[tuple[float, datetime], ...]


def draw(
    points: Sequence[Point],
    *,
    span: tuple[datetime, datetime],
    step: timedelta,
    target: float | None,
    marks: Sequence[Mark],
) -> Chart:
    """Place samples, target and marks; samples that are no number leave a gap.

    `span` is what the chart shows and must last, `step` how far apart samples were asked for.
    """
    start, end = span
    real = [(at, value) for at, value in points if isfinite(value) and start <= at <= end]
    known = [value for _, value in real] + ([target] if target is not None else [])
    top = _ceiling(max(known, default=1.0))
    bottom = min(0.0, min(known, default=0.0))

    def x_of(at: datetime) -> float:
        return round(LEFT + (at - start) / (end - start) * (WIDTH - LEFT - RIGHT), 1)

    def y_of(value: float) -> float:
        share = (value - bottom) / (top - bottom)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    stretches = _stretches(real, step)
    placed = [[(x_of(at), y_of(value)) for at, value in stretch] for stretch in stretches]
    return Chart(
        lines=tuple(
            " ".join(f"{x:g},{y:g}" for x, y in stretch) for stretch in placed if len(stretch) > 1
        ),
        dots=tuple(stretch[0] for stretch in placed if len(stretch) == 1),
        target_y=None if target is None else y_of(target),
        marks=_placed(marks, span, x_of),
        values=tuple(Tick(y_of(value), value) for value in (bottom, (bottom + top) / 2, top)),
        times=tuple((x_of(at), at) for at in (start, start + (end - start) / 2, end)),
    )


def _ceiling(highest: float) -> float:
    """Return the next round number (1, 2, 2.5, 5 or 10 of its power of ten) above the highest."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** floor(log10(highest))
    roof = highest * 1.05
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0, 20.0) if step * power >= roof)


def _stretches(points: Sequence[Point], step: timedelta) -> list[list[Point]]:
    """Part the samples where too many in a row are missing."""
    parts: list[list[Point]] = [[points[0]]] if points else []
    for before, after in pairwise(points):
        if after[0] - before[0] > GAP * step:
            parts.append([])
        parts[-1].append(after)
    return parts


def _placed(
    marks: Sequence[Mark], span: tuple[datetime, datetime], x_of: XOf
) -> tuple[PlacedMark, ...]:
    """Put each label into the first row where it meets no other; the last row takes the rest."""
    ends = [0.0] * ROWS
    found = []
    for mark in sorted(marks, key=lambda one: one.at):
        x = x_of(min(max(mark.at, span[0]), span[1]))
        width = LABEL_WIDTH * len(mark.label)
        anchor = "start" if x + width < WIDTH else "end"
        left = x if anchor == "start" else x - width
        row = next((number for number, end in enumerate(ends) if end <= left), ROWS - 1)
        ends[row] = left + width
        found.append(PlacedMark(mark, x, 14.0 + ROW_HEIGHT * row, anchor))
    return tuple(found)
