"""What single parts make of rows: ages, waits, trends, names that are too many."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from exporter.collectors.postgres import Settings
from exporter.contract import Collected
from exporter.postgres.part import Row, top
from tests.recorded_postgres import Recorded, named, short

V15 = Recorded(15)


def session(pid: int, state: str, seconds: float, **more: object) -> Row:
    age = timedelta(seconds=seconds)
    ages = {"transaction_age": age, "query_age": age, "state_age": age}
    return {"pid": pid, "state": state, "wait_event_type": None, "query_start": pid, **ages, **more}


def values(collected: Collected, *names: str) -> list[float]:
    """Return the values of series without labels, by name."""
    found = dict(line.rsplit(" ", 1) for line in short(collected))
    return [float(found[name]) for name in names]


AGES = (
    "oldest_transaction_seconds",
    "oldest_query_seconds",
    "oldest_idle_in_transaction_seconds",
    "slow_queries_running",
    "slow_queries_total",
)


def test_the_oldest_are_told_and_only_a_running_query_is_slow() -> None:
    found = named("activity").read(
        "tasks",
        [
            session(1, "active", 0.5),
            session(2, "idle in transaction", 90),
            session(3, "idle in transaction (aborted)", 7),
            session(4, "active", 3),
            session(5, "idle", 500, transaction_age=None),
        ],
        0,
    )
    assert values(found, *AGES) == [90, 3, 90, 1, 1]


def test_nobody_at_work_is_zero_and_not_unknown() -> None:
    assert values(named("activity").read("tasks", [], 0), *AGES) == [0, 0, 0, 0, 0]


def test_a_slow_query_is_counted_once_and_remembered_for_the_window() -> None:
    part = named("activity")
    seen = []
    passes: tuple[list[Row], ...] = (
        [session(1, "active", 2)],
        [session(1, "active", 17), session(2, "active", 1)],
        [session(1, "active", 2, query_start="another")],
        [],
    )
    for number, rows in enumerate(passes):
        found = part.read("tasks", rows, 15.0 * number)
        seen.append(
            [*values(found, "slow_queries_running", "slow_queries_total"), found.readings[0].value]
        )
    assert seen == [[1, 1, 1], [2, 2, 2], [1, 3, 3], [0, 3, 3]]
    assert part.read("tasks", [], 314.0).readings[0].value == 2
    assert part.read("tasks", [], 331.0).readings[0].value == 0


def test_what_sessions_wait_for_is_told_in_known_words() -> None:
    rows = [
        session(1, "active", 1, wait_event_type="IO"),
        session(2, "active", 1, wait_event_type="InjectionPoint"),
        session(3, "active", 1),
        session(4, "idle in transaction", 1, wait_event_type="Client"),
    ]
    found = short(named("activity").read("tasks", rows, 0))
    waits = {line for line in found if line.startswith("waiting_") and not line.endswith(" 0")}
    assert waits == {
        'waiting_connections{wait_event_type="IO"} 1',
        'waiting_connections{wait_event_type="Other"} 1',
    }


def test_many_applications_are_told_up_to_a_bound_and_the_rest_together() -> None:
    part = named("connections", Settings(applications=2))
    rows: list[Row] = [
        {"state": "idle", "application_name": name, "here": True, "connections": n, "usable": 97}
        for name, n in (("a", 1), ("b", 5), ("", 3), ("d", 2))
    ]
    found = [line for line in short(part.read("tasks", rows, 0)) if line.startswith("application")]
    assert found == [
        'application_connections{application="b"} 5',
        'application_connections{application="unnamed"} 3',
        'application_connections{application="Other"} 3',
    ]


def test_the_rest_joins_one_that_is_called_like_it() -> None:
    assert top({"Other": 9, "a": 2, "b": 1}, 1) == {"Other": 12}
    assert top({"a": 2}, 0) == {"Other": 2}
    assert top({}, 3) == {}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"state": None, "here": None, "connections": 1, "usable": None}],
        [{"state": "idle", "here": True, "connections": None, "usable": 0}],
    ],
)
def test_without_a_limit_the_ratio_is_unknown(rows: list[Mapping[str, object]]) -> None:
    found = named("connections").read("tasks", rows, 0)
    assert found.readings == ()
    assert not any("max_connections" in line for line in short(found))


def test_who_waits_and_for_whom() -> None:
    rows: list[Row] = [
        {"waited": timedelta(seconds=2), "blockers": [7, 8]},
        {"waited": None, "blockers": [7, 0]},  # 0: a prepared transaction
        {"waited": timedelta(seconds=9), "blockers": None},
    ]
    names = ("blocked_connections", "blocking_connections", "longest_lock_wait_seconds")
    assert values(named("blocked").read("tasks", rows, 0), *names) == [3, 3, 9]
    assert values(named("blocked").read("tasks", [], 0), *names) == [0, 0, 0]
    hidden = short(named("blocked").read("tasks", [{"waited": None, "blockers": []}], 0))
    assert hidden == ["blocked_connections 1", "blocking_connections 0"]


def test_growth_is_told_once_an_hour_is_known_and_forgets_after_a_day() -> None:
    part = named("size")

    def growth(hours: float, size: int) -> float | None:
        found = part.read("tasks", [{"bytes": size}], hours * 3600)
        by_name = {reading.kpi: reading.value for reading in found.readings}
        assert by_name["database_size"] == size
        return by_name.get("database_growth")

    assert growth(0, 1000) is None
    assert growth(0.5, 1050) is None
    assert growth(1, 1100) == 2400
    assert growth(24, 1240) == 240
    assert growth(25, 1100) == 0
    assert growth(26, 980) == pytest.approx(-3120)  # 260 bytes less within two hours
    assert part.read("tasks", [], 0) == Collected()


REPLICA = {"state": "streaming", "lag_bytes": 0, "lag_seconds": None}


def test_replicas_of_one_name_are_one_and_the_worst_counts() -> None:
    rows = [
        {**REPLICA, "replica": "a", "lag_bytes": 100, "lag_seconds": timedelta(seconds=1)},
        {**REPLICA, "replica": "a", "lag_bytes": 300, "state": "catchup"},
        {**REPLICA, "replica": "b"},
        {**REPLICA, "replica": "c", "lag_bytes": None, "state": "new state"},
    ]
    found = short(named("replicas", Settings(replicas=1)).read("tasks", rows, 0))
    assert [line for line in found if not line.endswith(" 0")] == [
        'replicas{state="catchup"} 1',
        'replicas{state="streaming"} 2',
        'replicas{state="Other"} 1',
        'replica_lag_bytes{replica="a"} 300',
        'replica_lag_seconds{replica="a"} 1',
    ]


def test_settings_are_told_in_base_units() -> None:
    def setting(value: str, unit: str | None) -> Row:
        return {"name": "x", "setting": value, "unit": unit, "vartype": "integer", "pending": 2}

    found = {
        (value, unit): short(named("settings").read("tasks", [setting(value, unit)], 0))[:-1]
        for value, unit in (
            *(("16384", "8kB"), ("4096", "kB"), ("1024", "MB"), ("7", "B"), ("-1", "MB")),
            *(("300", "s"), ("250", "ms"), ("5", "min"), ("-1", "ms"), ("100", None)),
            *(("on", None), ("off", None), ("0.9", None), ("replica", None), ("3", "furlong")),
        )
    }
    size, time, plain = (f'setting{unit}{{setting="x"}}' for unit in ("_bytes", "_seconds", ""))
    assert {key: lines[0] if lines else "" for key, lines in found.items()} == {
        ("16384", "8kB"): f"{size} 1.34218e+08",
        ("4096", "kB"): f"{size} 4.1943e+06",
        ("1024", "MB"): f"{size} 1.07374e+09",
        ("7", "B"): f"{size} 7",
        ("-1", "MB"): f"{size} -1",
        ("300", "s"): f"{time} 300",
        ("250", "ms"): f"{time} 0.25",
        ("5", "min"): f"{time} 300",
        ("-1", "ms"): f"{time} -1",
        ("100", None): f"{plain} 100",
        ("on", None): f"{plain} 1",
        ("off", None): f"{plain} 0",
        ("0.9", None): f"{plain} 0.9",
        ("replica", None): "",
        ("3", "furlong"): "",
    }


def test_a_database_without_tables_has_no_dead_rows() -> None:
    found = named("tables").read("tasks", [], 0)
    assert values(found, "live_rows", "dead_rows", "tables") == [0, 0, 0]
