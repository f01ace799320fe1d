"""An application whose pods show the pages that a test gives them."""

from exporter.application import Application
from exporter.collectors.app_metrics import SPEC, Settings
from exporter.contract import Collected, PolledSource
from tests.fake_clients import TASK_MANAGER, FakeClients, FakePod, page

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
    def __init__(self, application: Application = TASK_MANAGER, **settings: object) -> None:
        self.clients = FakeClients([application])
        (source,) = SPEC.sources(Settings.model_validate(settings), self.clients)
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

    async def values(self, after: float = 15) -> dict[str, float]:
        return values(await self.collect(after))


def values(found: Collected) -> dict[str, float]:
    """Return samples by name and what follows the workload's labels."""
    return {
        " ".join((s.metric.name + s.suffix, *s.labels[3:], s.le)).strip(): s.value
        for s in found.samples
        if len(s.labels) >= 3
    } | {s.metric.name: s.value for s in found.samples if len(s.labels) < 3}
