from datetime import UTC, datetime
from math import nan

import pytest

from responder.contract import Series
from responder.domain.values import Target
from responder.web.kpis import MOST, Aim, State, board_of, figure, subject_of

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
WEB = {"namespace": "default", "workload": "web", "workload_type": "deployment"}
ERRORS = "namespace_workload:kpi_error_ratio:rate"
BELOW = Aim(0.01, "below")


def series(name: str, value: float, **labels: str) -> Series:
    return Series({"__name__": name, **labels}, value, NOW)


@pytest.mark.parametrize(
    ("value", "aim", "state"),
    [
        (0.005, BELOW, State.WITHIN),
        (0.01, BELOW, State.OUT),
        (0.999, Aim(0.999, "above"), State.OUT),
        (0.9991, Aim(0.999, "above"), State.WITHIN),
        (nan, BELOW, State.UNKNOWN),
        (0.5, None, State.SHOWN),
    ],
)
def test_a_kpi_is_within_out_or_unknown(value: float, aim: Aim | None, state: State) -> None:
    aims = {"error_ratio": aim} if aim else {}
    board = board_of([series(ERRORS, value, **WEB)], [], aims)
    (one,) = board.subjects["deployment/default/web"]
    assert one.state == state
    assert board.count(state) == 1


def test_a_kpi_that_has_gone_is_unknown_and_not_left_out() -> None:
    board = board_of([], [series(ERRORS, 0.001, **WEB)], {"error_ratio": BELOW})
    (one,) = board.subjects["deployment/default/web"]
    assert (one.state, one.said, one.wanted) == (State.UNKNOWN, "unknown", "below 1 %")


def test_each_subject_is_named_by_its_labels() -> None:
    found = [
        series("database:kpi_database_size:rate", 1.0, database="tasks"),
        series("database_pgbouncer:kpi_database_pool_ratio:rate", 1.0, database="a", pgbouncer="b"),
        series("cluster:kpi_cluster_pods_fit:rate", 40.0),
    ]
    assert set(board_of(found, [], {}).subjects) == {"tasks", "a/b", "cluster"}


def test_when_there_are_too_many_the_worst_are_kept() -> None:
    good = [series(ERRORS, 0.0, **(WEB | {"workload": f"w{n}"})) for n in range(MOST)]
    bad = series(ERRORS, 1.0, **(WEB | {"workload": "zz"}))
    board = board_of([*good, bad], [], {"error_ratio": BELOW})
    assert board.left_out == 1
    assert "deployment/default/zz" in board.subjects


@pytest.mark.parametrize(
    ("kpi", "value", "said"),
    [
        ("latency_p95", 0.2, "200 ms"),
        ("network_latency", 1.5, "1.5 s"),
        ("error_ratio", 0.0123, "1.23 %"),
        ("availability", 0.9995, "99.95 %"),
        ("throughput", 36.2, "36.2/s"),
        ("apdex", 0.89, "0.89"),
        ("database_size", 3 * 2**20, "3 MiB"),
        ("never_heard_of", 12345.6, "12,346"),
    ],
)
def test_a_value_is_written_in_its_unit(kpi: str, value: float, said: str) -> None:
    assert figure(kpi, value) == said


def test_what_a_kpi_is_about_comes_from_the_target_or_from_the_alert() -> None:
    target = Target("Deployment", "default", "web")
    assert subject_of("error_ratio", target, {}) == WEB
    labels = {"database": "tasks", "severity": "critical"}
    assert subject_of("database_size", target, labels) == {"database": "tasks"}
    assert subject_of("database_size", target, {}) is None
    assert subject_of("cluster_pods_fit", target, {}) == {}
