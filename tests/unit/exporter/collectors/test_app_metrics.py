"""Which figures the pages become, and which are left out when something is missing."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.application import Gauge, Saturation
from exporter.collectors.app_metrics import SPEC
from tests.fake_application import NAME, World, metrics, values
from tests.fake_clients import TASK_MANAGER, exposition, lines

GOLDEN = Path(__file__).with_name("app_metrics.txt")


@pytest.fixture
def world() -> World:
    return World()


POOL = Saturation("db_pool", Gauge("pool", {"state": "used"}), Gauge("pool_max", {}))
IN_FLIGHT = Saturation("in_flight", Gauge("in_flight", {}), 20.0)


async def test_two_passes_become_counters_a_histogram_levels_and_kpis() -> None:
    world = World(dataclasses.replace(TASK_MANAGER, saturation=(POOL, IN_FLIGHT)))
    world.shows(2, metrics(100, failed=3, health=50))
    await world.collect()
    levels = 'pool{state="used"} 4\npool{state="idle"} 6\npool_max 10\nin_flight 5\n'
    world.shows(2, metrics(110, failed=5, slow=8, health=90) + levels)
    found = await world.collect()
    assert exposition(SPEC.metrics, found) == GOLDEN.read_text()
    subject = "default,task-manager,deployment"
    assert [line for line in lines(found) if " = " in line] == [
        f"latency_p95{{{subject}}} = 0.725",
        f"error_ratio{{{subject}}} = 0.1",
        f"throughput{{{subject}}} = 1.333",
        f"apdex{{{subject}}} = 0.7",
    ]


async def test_the_first_pass_knows_no_kpi_but_shows_every_route_at_zero(world: World) -> None:
    world.shows(2, metrics(100))
    found = await world.collect()
    assert list(found.readings) == []
    assert any("errors_total" in line and line.endswith(" 0") for line in lines(found))


async def test_without_requests_only_the_throughput_is_known(world: World) -> None:
    world.shows(2, metrics(100))
    await world.collect()
    assert [(r.kpi, r.value) for r in (await world.collect()).readings] == [("throughput", 0.0)]


async def test_a_page_without_status_route_or_buckets_still_counts(world: World) -> None:
    world.shows(2, f"{NAME}_count 1\n")
    await world.collect()
    world.shows(2, f"{NAME}_count 4\n")
    found = await world.collect()
    names = {name.partition(" ")[0] for name in values(found)}
    assert values(found)["kpi_http_requests_total"] == 3, "route is empty"
    unknown = ("duration", "latency", "apdex", "satisfied", "tolerating", "saturation")
    assert not any(word in name for name in names for word in unknown)
    assert {r.kpi for r in found.readings} == {"error_ratio", "throughput"}


async def test_an_empty_page_is_a_pod_without_requests(world: World) -> None:
    world.shows(2, "")
    await world.collect()
    world.shows(2, metrics(2))
    assert (await world.values())["kpi_http_requests_total /tasks"] == 2


@pytest.mark.parametrize("missing", ["_bucket", "_sum", "_count", "status", "route", "le"])
async def test_what_one_field_is_missing_for_is_absent_and_the_rest_is_there(
    world: World, missing: str
) -> None:
    def without(text: str) -> str:
        if missing.startswith("_"):
            return "\n".join(line for line in text.splitlines() if missing not in line)
        labels = {"status": ',status="200"', "route": 'route="/tasks",', "le": ',le="0.2"'}
        return text.replace(labels[missing], "")

    world.shows(2, without(metrics(1)))
    await world.collect()
    world.shows(2, without(metrics(5)))
    found = await world.collect()
    kpis = {reading.kpi: reading.value for reading in found.readings}
    assert ("error_ratio" in kpis) == (missing != "_count")
    assert ("latency_p95" in kpis) == (missing != "_bucket")
    assert kpis["throughput"] == (0 if missing == "_count" else 4 / 15)


async def test_a_percentile_beyond_the_last_bound_is_flagged(world: World) -> None:
    world.shows(2, "")
    await world.collect()
    world.shows(2, f'{NAME}_bucket{{le="1"}} 6\n{NAME}_bucket{{le="+Inf"}} 10\n')
    found = await world.collect()
    assert {name: value for name, value in values(found).items() if "capped" in name} == {
        "kpi_latency_capped p50": 0,
        "kpi_latency_capped p95": 1,
        "kpi_latency_capped p99": 1,
    }
    assert values(found)["kpi_latency_p99_seconds"] == 1
    assert found.readings[0] == ("latency_p95", found.readings[0].subject, 1.0)


async def test_apdex_says_when_its_bounds_are_not_those_of_the_histogram() -> None:
    for t, requests, exact in ((200, "", 1), (250, "", 0), (200, "requests_total", 0)):
        app = dataclasses.replace(TASK_MANAGER, apdex=timedelta(milliseconds=t), requests=requests)
        world = World(app)
        world.shows(2, metrics(1))
        await world.collect()
        world.shows(2, metrics(5, slow=3))
        found = await world.values()
        assert found["kpi_apdex_exact"] == exact
        assert found["kpi_http_requests_satisfied_total"] == 4
        assert found["kpi_http_requests_tolerating_total"] == 3


async def test_apdex_counts_nothing_while_no_bound_of_the_histogram_is_within_it(
    world: World,
) -> None:
    def coarse(good: int) -> str:
        return metrics(good).replace('le="0.2"', 'le="0.3"')

    counted = "kpi_http_requests_satisfied_total"
    world.shows(2, metrics(1))
    await world.collect()
    world.shows(2, metrics(5))
    assert (await world.values())[counted] == 4
    world.shows(2, coarse(9))
    found = await world.values()
    assert found["kpi_http_requests_total /tasks"] == 4 + 9, "a new release began anew"
    assert counted not in found
    world.shows(2, metrics(12))
    assert counted in await world.values()


async def test_the_fullest_pod_and_the_sum_of_all_tell_of_a_resource() -> None:
    world = World(dataclasses.replace(TASK_MANAGER, saturation=(POOL, IN_FLIGHT)))
    world.pod("b", 3)
    world.pod("c", 4)
    world.shows(2, 'pool{state="used"} 9\npool_max 10\n')
    world.shows(3, 'pool{state="used"} 1\npool_max 10\nin_flight 5\n')
    world.shows(4, 'pool{state="used"} 2\n')
    found = await world.values()
    assert {name: value for name, value in found.items() if "saturation" in name} == {
        "kpi_saturation_used db_pool": 12,
        "kpi_saturation_ratio db_pool": 0.9,
        "kpi_saturation_used in_flight": 5,
        "kpi_saturation_limit in_flight": 20,
        "kpi_saturation_ratio in_flight": 0.25,
    }


async def test_versions_with_other_bounds_publish_what_they_share_and_say_so(world: World) -> None:
    world.pod("b", 3)
    world.shows(2, metrics(1))
    world.shows(3, metrics(1).replace('le="0.2"', 'le="0.3"'))
    found = await world.values()
    assert found["kpi_application_bounds_unshared"] == 2
    assert "kpi_http_request_duration_seconds_bucket 0.8" in found
    assert "kpi_http_request_duration_seconds_bucket 0.3" not in found
