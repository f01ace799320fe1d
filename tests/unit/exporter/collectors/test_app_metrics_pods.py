"""Which pods are asked, what a bad one may not do, and what is bounded."""

import dataclasses
from datetime import timedelta

import pytest

from exporter.collectors.app_metrics import UNREAD
from exporter.pod_group import FORGET_AFTER
from exporter.ports import HttpTimeoutError, TooLongError
from exporter.shared.errors import PermanentError, TransientError
from tests.fake_application import NAME, World, metrics, values
from tests.fake_clients import START, TASK_MANAGER, lines, page


@pytest.fixture
def world() -> World:
    return World()


async def test_a_pod_that_came_later_counts_whole(world: World) -> None:
    world.shows(2, metrics(100))
    await world.collect()
    world.pod("b", 3)
    world.shows(3, metrics(7))
    found = await world.values()
    assert found["kpi_http_requests_total /tasks"] == 7
    assert found["kpi_application_pods"] == 2


async def test_a_pod_that_was_there_before_counts_from_now_on(world: World) -> None:
    world.shows(2, metrics(100))
    await world.collect()
    world.pod("b", 3).created = START - timedelta(hours=1)
    world.pod("c", 4).created = START
    world.shows(3, metrics(50))
    world.shows(4, metrics(7))
    assert (await world.values())["kpi_http_requests_total /tasks"] == 7


OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (TransientError("refused"), "unreachable"),
        (PermanentError("no address"), "unreachable"),
        (HttpTimeoutError("in time"), "deadline"),
        (TooLongError("too long"), "too_long"),
        (page("", status=503), "status"),
        (page("<html>", kind="text/html"), "format"),
        (page(metrics(9), kind=OPENMETRICS), "format"),
        (page(f"{NAME}_count one"), "format"),
        (page("x\n" * 50_001), "too_long"),
    ],
)
async def test_one_bad_pod_does_not_spoil_the_pass(
    world: World, reply: object, reason: str
) -> None:
    world.pod("b", 3)
    world.shows(2, metrics(1))
    world.shows(3, metrics(1))
    await world.collect()
    world.shows(2, metrics(5))
    world.clients.http.replies["http://127.0.0.3:8000/metrics"] = reply  # type: ignore[assignment]
    found = await world.values()
    assert found["kpi_http_requests_total /tasks"] == 4
    assert found["kpi_application_pods"] == 1
    assert found[f"kpi_application_page_failures_total {reason}"] == 1
    world.shows(3, metrics(9))
    found = await world.values()
    assert found["kpi_http_requests_total /tasks"] == 12, "caught up, no reset"
    assert found[f"kpi_application_page_failures_total {reason}"] == 1, "counters do not forget"


async def test_a_page_of_openmetrics_is_read_when_it_is_whole(world: World) -> None:
    url = "http://127.0.0.2:8000/metrics"
    for good, counted in ((1, 0), (5, 4)):
        text = metrics(good) + f'{NAME}_created{{route="/tasks"}} 1e9\n# EOF\n'
        world.clients.http.replies[url] = page(text, kind=OPENMETRICS)
        assert (await world.values())["kpi_http_requests_total /tasks"] == counted


async def test_pods_that_were_slow_come_last_so_that_others_have_the_time(world: World) -> None:
    clock, pods = world.clients.clock, world.clients.pods.pods
    slow = range(3, 15)
    for n in slow:
        world.pod(f"p{n}", n)
    pods.append(pods.pop(0))
    for n in (2, *slow):
        world.shows(n, metrics(1))
    await world.collect()

    def late() -> HttpTimeoutError:
        clock.advance(3)
        return HttpTimeoutError("in time")

    for n in slow:
        world.clients.http.replies[f"http://127.0.0.{n}:8000/metrics"] = late
    with pytest.raises(TransientError, match="in time"):
        await world.collect()
    world.shows(2, metrics(3))
    found = await world.values()
    assert found["kpi_http_requests_total /tasks"] == 2
    assert found["kpi_application_pods"] == 1


async def test_a_pass_that_has_no_time_left_says_so_of_the_pods_not_asked() -> None:
    world = World(pod_timeout="60s", timeout="10s")
    for n in range(3, 13):
        world.pod(f"p{n}", n)
    for n in range(2, 13):
        world.shows(n, metrics(1))

    def slow() -> HttpTimeoutError:
        world.clients.clock.advance(9.5)
        return HttpTimeoutError("in time")

    world.clients.http.replies["http://127.0.0.2:8000/metrics"] = slow
    found = await world.values()
    assert found["kpi_application_page_failures_total no_time"] >= 3
    assert found["kpi_application_pods"] >= 7


async def test_when_no_pod_can_be_read_the_pass_fails_with_their_reason(world: World) -> None:
    world.clients.http.replies["http://127.0.0.2:8000/metrics"] = TransientError("refused")
    with pytest.raises(TransientError, match="refused"):
        await world.collect()


async def test_pods_that_are_not_ready_are_not_asked_and_keep_what_they_counted(
    world: World,
) -> None:
    world.shows(2, metrics(1))
    await world.collect()
    world.shows(2, metrics(5))
    await world.collect()
    world.clients.pods.pods[0].ready = False
    again = await world.collect()
    found = values(again)
    assert found["kpi_http_requests_total /tasks"] == 4
    assert found["kpi_application_pods"] == 0
    assert not again.readings, "what nobody told is not known"
    assert len(world.clients.http.asked) == 2


async def test_nothing_is_said_before_the_pods_are_known(world: World) -> None:
    world.clients.pods.synced = False
    with pytest.raises(TransientError, match="not synced"):
        await world.collect()
    assert world.clients.http.asked == []


async def test_an_application_without_pods_is_a_failure_not_a_silence(world: World) -> None:
    world.clients.pods.pods.clear()
    with pytest.raises(TransientError, match="no ready pod"):
        await world.collect()


async def test_pods_of_no_workload_are_left_out_unless_the_mapping_names_one() -> None:
    named = dataclasses.replace(TASK_MANAGER, workload="shop", workload_type="statefulset")
    for application, expected in ((TASK_MANAGER, None), (named, 'workload="shop"')):
        world = World(application)
        world.clients.pods.pods[0].workload = ""
        world.shows(2, metrics(1))
        if expected is None:
            with pytest.raises(TransientError, match="no known workload"):
                await world.collect()
        else:
            found = [line for line in lines(await world.collect()) if "application=" not in line]
            assert all(expected in line for line in found)


async def test_two_workloads_behind_one_selector_stay_apart(world: World) -> None:
    world.pod("c", 3).workload = "canary"
    world.shows(2, metrics(1))
    world.shows(3, metrics(1))
    await world.collect()
    world.shows(2, metrics(3))
    world.shows(3, metrics(1, failed=4))
    ratios = {
        r.subject[1][1]: r.value for r in (await world.collect()).readings if r.kpi == "error_ratio"
    }
    assert ratios == {"task-manager": 0.0, "canary": 1.0}


async def test_pods_that_ask_for_it_are_found_with_port_and_path() -> None:
    app = dataclasses.replace(TASK_MANAGER, annotated=True, port=None, path=None, namespace="")
    world = World(app)
    asks = {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"}
    world.clients.pods.pods[0].annotations = asks
    other = world.pod("b", 3)
    other.annotations = asks | {"runbookd.io/path": "/m", "runbookd.io/port": "9"}
    other.namespace = "shop"
    world.pod("c", 4)
    world.pod("d", 5).annotations = asks | {"runbookd.io/scrape": "false"}
    world.pod("e", 6).annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "x"}
    world.shows(2, metrics(1))
    world.clients.http.replies["http://127.0.0.3:9/m"] = page(metrics(1))
    found = await world.collect()
    assert sorted(world.clients.http.asked) == [
        "http://127.0.0.2:8000/metrics",
        "http://127.0.0.3:9/m",
    ]
    pods = {s.labels[0]: s.value for s in found.samples if s.metric.name == "kpi_application_pods"}
    assert pods == {"default": 1, "shop": 1}
    unread = [s for s in found.samples if s.metric is UNREAD and s.labels[3] == "no_port"]
    assert sum(sample.value for sample in unread) == 1


async def test_routes_beyond_the_bound_are_counted_together() -> None:
    world = World(dataclasses.replace(TASK_MANAGER, max_routes=1))
    world.shows(2, "")
    await world.collect()
    world.shows(2, "".join(metrics(2).replace("/tasks", f"/{n}") for n in range(4)))
    found = await world.values()
    assert found["kpi_http_requests_total /0"] == 2
    assert found["kpi_http_requests_total other"] == 6
    assert found["kpi_application_lines_folded_total"] > 0


async def test_what_is_beyond_the_bound_of_label_sets_is_cut_and_counted() -> None:
    world = World(max_label_sets=10)
    world.shows(2, metrics(1))
    await world.collect()
    world.shows(2, metrics(5) + metrics(7).replace("/tasks", "/late"))
    await world.collect()
    late = "".join(metrics(9).replace("/tasks", f"/{n}") for n in ("late", 1, 2, 3, 4, 5))
    world.shows(2, metrics(6) + late)
    found = await world.values()
    assert found["kpi_http_requests_total /tasks"] == 5
    assert found["kpi_application_lines_cut_total"] == 25
    assert found["kpi_application_label_sets"] == 10
    assert found["kpi_application_lines_parsed_total"] == 10


async def test_label_sets_that_no_pod_shows_any_more_make_room_for_new_ones() -> None:
    world = World(max_label_sets=10)
    world.shows(2, metrics(1) + metrics(1).replace("/tasks", "/old"))
    await world.collect()
    world.clients.pods.pods.clear()
    world.pod("b", 3)
    world.shows(3, metrics(4))
    await world.collect()
    world.shows(3, metrics(6) + metrics(3).replace("/tasks", "/new"))
    found = await world.values()
    assert found["kpi_http_requests_total /tasks"] == 6
    assert found["kpi_http_requests_total /new"] == 3
    assert found["kpi_application_lines_cut_total"] == 0


async def test_a_workload_that_is_gone_for_long_is_forgotten(world: World) -> None:
    world.pod("c", 3).workload = "canary"
    world.shows(2, metrics(1))
    world.shows(3, metrics(1))
    await world.collect()
    del world.clients.pods.pods[1]
    for after, there in ((60, True), (FORGET_AFTER.total_seconds(), False)):
        found = await world.collect(after)
        assert any("canary" in sample.labels for sample in found.samples) is there
