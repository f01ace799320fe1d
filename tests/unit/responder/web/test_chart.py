from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest

from responder.web.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Mark, Point, draw

START = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
END = START + timedelta(minutes=10)
STEP = timedelta(seconds=15)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def drawn(points: list[Point], target: float | None = None, *marks: Mark) -> Chart:
    return draw(points, span=(START, END), step=STEP, target=target, marks=marks)


def test_a_value_stands_between_the_axes_ends() -> None:
    chart = drawn([(START, 0.0), (END, 1.5)])
    assert [tick.value for tick in chart.values] == [0.0, 1.0, 2.0]
    floor, roof = HEIGHT - BOTTOM, TOP
    assert chart.dots == ((LEFT, floor), (WIDTH - RIGHT, floor - 0.75 * (floor - roof)))


@pytest.mark.parametrize(
    ("highest", "top"),
    [(0.0, 1.0), (0.19, 0.2), (0.2, 0.25), (0.96, 2.0), (1.0, 2.0), (95.0, 100.0), (96.0, 200.0)],
)
def test_the_axis_ends_at_a_round_number_with_room_above(highest: float, top: float) -> None:
    chart = drawn([(at(0), 0.0), (at(15), highest)])
    assert chart.values[-1].value == pytest.approx(top)


def test_the_target_is_always_in_sight() -> None:
    chart = drawn([(at(0), 0.01), (at(15), 0.02)], 0.9)
    assert chart.values[-1].value == 1.0
    assert chart.target_y is not None
    assert TOP < chart.target_y < HEIGHT - BOTTOM


def test_one_lost_sample_is_bridged_and_two_leave_a_gap() -> None:
    assert len(drawn([(at(0), 1.0), (at(30), 1.0)]).lines) == 1
    chart = drawn([(at(0), 1.0), (at(15), 1.0), (at(60), 1.0), (at(75), 1.0)])
    assert len(chart.lines) == 2


def test_a_sample_that_stands_alone_is_a_dot_and_one_that_is_no_number_is_nothing() -> None:
    chart = drawn([(at(0), 1.0), (at(100), nan), (at(200), inf), (at(300), 2.0)])
    assert chart.lines == ()
    assert len(chart.dots) == 2


def test_nothing_known_draws_an_empty_chart() -> None:
    chart = drawn([])
    assert (chart.lines, chart.dots, chart.target_y) == ((), (), None)


def test_labels_that_would_meet_go_into_rows_below_each_other() -> None:
    marks = (Mark(at(60), "alert", "alert"), Mark(at(65), "rollback", "act"))
    first, second = drawn([], None, *marks).marks
    assert (first.mark.label, first.anchor) == ("alert", "start")
    assert second.label_y > first.label_y


def test_a_label_at_the_edge_stands_on_the_other_side_of_its_line() -> None:
    (placed,) = drawn([], None, Mark(at(599), "resolved", "resolve")).marks
    assert placed.anchor == "end"


def test_what_happened_outside_is_marked_at_the_edge() -> None:
    (placed,) = drawn([], None, Mark(at(-50), "alert", "alert")).marks
    assert placed.x == LEFT
