"""Queries of one's own: what may be declared, and what an answer that does not fit costs."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from exporter import app
from exporter.collectors.sql_kpi import SPEC, Settings
from exporter.contract import PolledSource
from exporter.shared.config import ConfigError, Document, validate
from exporter.shared.errors import PermanentError, TransientError
from tests.fake_clients import FakeClients, FakeDatabase, Outcome, lines

DSN = "postgresql://127.0.0.1/shop"
ORDERS = {
    "name": "orders",
    "database": "shop",
    "sql": "SELECT country, open, sold FROM orders",
    "labels": ["country"],
    "values": [
        {"column": "open", "name": "kpi_sql_orders_open", "help": "Orders that are open."},
        {
            "column": "sold",
            "name": "kpi_sql_orders_total",
            "help": "Orders ever sold.",
            "kind": "counter",
        },
    ],
}
USERS = {
    "name": "users",
    "database": "shop",
    "sql": "SELECT count(*) AS value FROM users",
    "values": [{"kpi": "active_users"}],
}


def made(*queries: Mapping[str, object], **more: object) -> Settings:
    return Settings.model_validate(
        {"databases": [{"name": "shop", "dsn": DSN}], "queries": queries, **more}
    )


def one(query: Mapping[str, object], *rows: Mapping[str, object]) -> PolledSource:
    return built(query, list(rows))[0]


def built(query: Mapping[str, object], reply: Outcome) -> tuple[PolledSource, FakeDatabase]:
    clients = FakeClients()
    database = clients.database(DSN, collector="sql_kpi", statement_timeout=timedelta(0))
    database.replies = {str(query["sql"]): reply}
    (source,) = SPEC.sources(made(query), clients)
    assert isinstance(source, PolledSource)
    return source, database


async def test_an_answer_becomes_the_families_that_were_declared() -> None:
    source = one(
        ORDERS,
        {"country": "de", "open": 3, "sold": Decimal(12)},
        {"country": "fr", "open": 0, "sold": 7},
    )
    assert lines(await source.collect()) == [
        'kpi_sql_orders_open{database="shop",country="de"} 3',
        'kpi_sql_orders_total{database="shop",country="de"} 12',
        'kpi_sql_orders_open{database="shop",country="fr"} 0',
        'kpi_sql_orders_total{database="shop",country="fr"} 7',
    ]
    assert [(m.name, m.kind, m.labels) for m in SPEC.families(made(ORDERS, USERS))] == [
        ("kpi_sql_orders_open", "gauge", ("database", "country")),
        ("kpi_sql_orders_total", "counter", ("database", "country")),
    ]


async def test_a_value_can_be_a_kpi_of_the_catalogue() -> None:
    assert lines(await one(USERS, {"value": 17}).collect()) == ["active_users{shop} = 17"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("1.5"), ["active_users{shop} = 1.5"]),
        (True, ["active_users{shop} = 1"]),
        (timedelta(minutes=2), ["active_users{shop} = 120"]),
        (datetime(1970, 1, 2, tzinfo=UTC), ["active_users{shop} = 8.64e+04"]),
        (None, []),
    ],
)
async def test_what_is_a_number_is_taken_as_one_and_null_is_unknown(
    value: object, shown: list[str]
) -> None:
    assert lines(await one(USERS, {"value": value}).collect()) == shown


async def test_a_label_that_is_null_is_empty_and_a_truth_value_is_written_as_in_sql() -> None:
    found = await one(
        ORDERS, {"country": None, "open": 1, "sold": None}, {"country": True, "open": 2, "sold": 3}
    ).collect()
    assert lines(found)[0] == 'kpi_sql_orders_open{database="shop",country=""} 1'
    assert lines(found)[1] == 'kpi_sql_orders_open{database="shop",country="true"} 2'


ROW = {"country": "de", "open": 1, "sold": 2}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{**ROW, "city": "x"}], "query orders: column 'city' is not declared"),
        ([{"country": "de", "open": 1}], "query orders: column 'sold' is missing"),
        ([ROW, {**ROW, "open": 5}], "query orders: two rows have the same labels"),
        ([{**ROW, "open": "many"}], "query orders: column 'open' is not a number"),
        ([{**ROW, "open": float("nan")}], "query orders: column 'open' is not a number"),
        ([{**ROW, "country": "x" * 201}], "a label is longer than 200 characters"),
        ([{**ROW, "country": str(n)} for n in range(101)], "query orders: more than 100 rows"),
    ],
)
async def test_an_answer_that_does_not_fit_is_a_failure_that_names_query_and_fault(
    rows: list[Mapping[str, object]], told: str
) -> None:
    with pytest.raises(PermanentError, match=told):
        await one(ORDERS, *rows).collect()


async def test_no_row_is_nothing_known() -> None:
    assert lines(await one(ORDERS).collect()) == []


async def test_a_query_that_fails_fails_its_own_source() -> None:
    source, _ = built(ORDERS, TransientError("away"))
    with pytest.raises(TransientError, match="away"):
        await source.collect()


def test_queries_of_one_database_share_its_connection_and_have_the_time_to_wait() -> None:
    clients = FakeClients()
    settings = made({**ORDERS, "timeout": "2s"}, {**USERS, "timeout": "5s", "interval": "10m"})
    sources = SPEC.sources(settings, clients)
    assert [
        (s.name, s.interval.total_seconds(), s.timeout.total_seconds())
        for s in sources
        if isinstance(s, PolledSource)
    ] == [("orders", 60, 7), ("users", 600, 7)]
    assert clients.databases == {}, "nothing is opened before the first pass"


def value(**changed: object) -> dict[str, object]:
    return {"column": "value", "name": "kpi_sql_x", "help": "X.", **changed}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sql": "DELETE FROM orders"}, "neither SELECT nor WITH"),
        ({"sql": "-- a comment\nDELETE FROM orders"}, "neither SELECT nor WITH"),
        ({"values": []}, "no value is declared"),
        ({"values": [value(name="orders")]}, "does not begin with kpi_sql_"),
        ({"values": [value(name="kpi_sql_Orders")]}, "not a name like"),
        ({"values": [value(name="kpi_sql_age_minutes")]}, "base units"),
        ({"values": [value(name="kpi_sql_x_total")]}, "end in _total"),
        ({"values": [value(kind="counter")]}, "end in _total"),
        ({"values": [value(name="kpi_sql_x_sum")]}, "part of a histogram"),
        ({"values": [value(help=" ")]}, "has no help"),
        ({"values": [value(kpi="active_users")]}, "either name or kpi"),
        ({"values": [{"kpi": "active_user"}]}, 'did you mean "active_users"'),
        ({"values": [value(), value(name="kpi_sql_y")]}, "'value' is declared twice"),
        ({"labels": ["value"], "values": [value()]}, "'value' is declared twice"),
        ({"labels": ["instance"], "values": [value()]}, "scrape configuration"),
        ({"labels": ["database"], "values": [value()]}, "is there by itself"),
        ({"labels": ["Country"], "values": [value()]}, "not a label's name"),
        ({"labels": ["x"], "values": [{"kpi": "active_users"}]}, "no labels but the database"),
        ({"database": "shoop"}, 'did you mean "shop"'),
        ({"max_rows": 0}, "greater than or equal to 1"),
        ({"name": "Orders!"}, "match pattern"),
    ],
)
def test_what_cannot_be_published_is_refused_at_the_start(
    change: Mapping[str, object], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        made({**USERS, **change})


def test_one_family_is_declared_alike_wherever_it_is() -> None:
    values = [value(name="kpi_sql_orders_open")]
    other = {**USERS, "name": "other", "values": values}
    with pytest.raises(ValidationError, match="declared twice, and not alike"):
        made(ORDERS, other)
    gauge = {**USERS, "name": "gauge", "values": [value(name="kpi_sql_orders")]}
    with pytest.raises(ValidationError, match="kpi_sql_orders is declared twice, and not alike"):
        made(ORDERS, gauge)
    again = {**ORDERS, "name": "archive", "sql": "SELECT 1"}
    assert len(SPEC.families(made(ORDERS, again))) == 2
    with pytest.raises(ValidationError, match="two queries are called orders"):
        made(ORDERS, ORDERS)
    with pytest.raises(ValidationError, match="active_users of shop"):
        made(USERS, {**USERS, "name": "more"})


def test_a_mistake_in_the_settings_is_told_once_and_with_its_place() -> None:
    specs = app.collectors()
    section = {"databases": [], "queries": [{**USERS, "values": [{"kpi": "nothing"}]}]}
    document = Document("settings", {"collectors": {"sql_kpi": section}})
    with pytest.raises(ConfigError) as error:
        validate(app.model(specs), document)
    (problem,) = error.value.problems
    assert "collectors.sql_kpi.queries[0].values[0]: 'nothing' is no KPI" in str(problem)


async def test_the_exporter_publishes_what_the_settings_name() -> None:
    specs = app.collectors()
    section = made(ORDERS)
    names = {metric.name for metric in app.families(specs, {"sql_kpi": section})}
    assert {"kpi_sql_orders_open", "kpi_sql_orders_total"} <= names
    assert not any(name.startswith("kpi_sql_") for name in {m.name for m in app.families(specs)})
