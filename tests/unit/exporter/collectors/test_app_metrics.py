"""What the application's pages become, and what one bad pod may not do."""

import dataclasses

import pytest

from exporter.collectors.app_metrics import SPEC, Settings
from exporter.contract import Collected, PolledSource
from exporter.ports import Application
from exporter.shared.errors import PermanentError, TransientError
from tests.fake_clients import TASK_MANAGER, FakeClients, FakePod, lines, page

NAME = "http_request_duration_seconds"


def metrics(good: int, failed: int = 0, *, slow: int = 0, health: int = 0) -> str:
    """Return a pod's page: `good` quick answers of /tasks, `slow` ones, `failed` 500s."""
    found = ["# HELP other x", "other 5"]
    for route, status, quick, late in (
        ("/tasks", "200", good, slow),
        ("/tasks", "500", failed, 0),
        ("/health", "200", health, 0),
    ):
        if quick + late:
            labels = f'route="{route}",status="{status}"'
            found += [
                f'{NAME}_bucket{{{labels},le="0.2"}} {quick}',
                f'{NAME}_bucket{{{labels},le="0.8"}} {quick + late}',
                f'{NAME}_bucket{{{labels},le="+Inf"}} {quick + late}',
                f"{NAME}_count{{{labels}}} {quick + late}",
                f"{NAME}_sum{{{labels}}} {quick * 0.1 + late * 0.5:g}",
            ]
    return "\n".join([*found, ""])


class World:
    def __init__(self, application: Application = TASK_MANAGER) -> None:
        self.clients = FakeClients([application])
        (source,) = SPEC.sources(Settings(), self.clients)
        assert isinstance(source, PolledSource)
        self.source = source
        self.pod("a", 2)

    def pod(self, name: str, number: int) -> FakePod:
        pod = FakePod(name, f"127.0.0.{number}")
        self.clients.pods.pods.append(pod)
        return pod

    def shows(self, pod: int, text: str) -> None:
        self.clients.http.replies[f"http://127.0.0.{pod}:8000/metrics"] = page(text)

    async def collect(self, after: float = 15) -> Collected:
        self.clients.clock.advance(after)
        return await self.source.collect()


@pytest.fixture
def world() -> World:
    return World()


async def test_two_passes_become_counters_a_histogram_and_kpis(world: World) -> None:
    world.shows(2, metrics(100, failed=3, health=50))
    await world.collect()
    world.shows(2, metrics(110, failed=5, slow=8, health=90))
    w = 'namespace="default",workload="task-manager",workload_type="deployment"'
    subject = "default,task-manager,deployment"
    assert lines(await world.collect()) == [
        f'kpi_http_requests_total{{{w},route="/tasks"}} 20',
        f'kpi_http_request_errors_total{{{w},route="/tasks"}} 2',
        f'kpi_http_request_duration_seconds_bucket{{{w},le="0.2"}} 12',
        f'kpi_http_request_duration_seconds_bucket{{{w},le="0.8"}} 20',
        f'kpi_http_request_duration_seconds_bucket{{{w},le="+Inf"}} 20',
        f"kpi_http_request_duration_seconds_count{{{w}}} 20",
        f"kpi_http_request_duration_seconds_sum{{{w}}} 5.2",
        f"kpi_application_pods{{{w}}} 1",
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


async def test_a_pod_that_came_later_counts_whole(world: World) -> None:
    world.shows(2, metrics(100))
    await world.collect()
    world.pod("b", 3)
    world.shows(3, metrics(7))
    found = lines(await world.collect())
    assert found[0].endswith('route="/tasks"} 7')
    assert any(line.startswith("kpi_application_pods") and line.endswith(" 2") for line in found)


@pytest.mark.parametrize(
    "reply",
    [
        TransientError("refused"),
        PermanentError("too long"),
        page("", status=503),
        page("", kind="application/openmetrics-text; version=1.0.0"),
        page(f"{NAME}_count one"),
        page("x\n" * 50_001),
    ],
)
async def test_one_bad_pod_does_not_spoil_the_pass(world: World, reply: object) -> None:
    world.pod("b", 3)
    world.shows(2, metrics(1))
    world.shows(3, metrics(1))
    await world.collect()
    world.shows(2, metrics(5))
    world.clients.http.replies["http://127.0.0.3:8000/metrics"] = reply  # type: ignore[assignment]
    found = lines(await world.collect())
    assert found[0].endswith('route="/tasks"} 4')
    assert any(line.startswith("kpi_application_pods") and line.endswith(" 1") for line in found)
    world.shows(3, metrics(9))
    assert lines(await world.collect())[0].endswith('route="/tasks"} 12'), "caught up, no reset"


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
    found = lines(await world.collect())
    assert found[0].endswith('route="/tasks"} 4')
    assert len(world.clients.http.asked) == 2
    assert any(line.startswith("kpi_application_pods") and line.endswith(" 0") for line in found)


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
            with pytest.raises(TransientError, match="no ready pod"):
                await world.collect()
        else:
            assert all(expected in line for line in lines(await world.collect()))


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


async def test_a_page_without_status_route_or_buckets_still_counts(world: World) -> None:
    world.shows(2, f"{NAME}_count 1\n")
    await world.collect()
    world.shows(2, f"{NAME}_count 4\n")
    found = await world.collect()
    assert lines(found)[0].endswith('route=""} 3')
    assert not any("duration" in line for line in lines(found))
    assert {r.kpi for r in found.readings} == {"error_ratio", "throughput"}


async def test_an_empty_page_is_a_pod_without_requests(world: World) -> None:
    world.shows(2, "")
    await world.collect()
    world.shows(2, metrics(2))
    assert lines(await world.collect())[0].endswith('route="/tasks"} 2')
