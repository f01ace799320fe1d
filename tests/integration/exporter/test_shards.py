"""Exporters that share one cluster publish together what one alone would, and nothing twice."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from exporter import app
from exporter.running import Running
from exporter.shared.clock import SystemClock
from exporter.shared.config import read_yaml, validate
from tests.bed import manifests
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.process import wait_until

pytestmark = pytest.mark.timeout(60)

TOTAL = 3
FOREIGN = ("kpi_source_", "kpi_exporter_", "kpi_target{", "process_")
"""What every exporter says of itself."""
SINCE_START = "kpi_warning_events_total"
"""Counts what came after the exporter, and one of them starts first."""

SETTINGS = """
kubeconfig: {kubeconfig}
shard: {{index: {index}, total: {total}}}
collectors:
  kubernetes: {{}}
  http_probe:
    targets:
      - {{name: one, workload: web, url: "http://127.0.0.1:1/"}}
      - {{name: two, workload: web, url: "http://127.0.0.1:1/"}}
      - {{name: three, workload: web, url: "http://127.0.0.1:1/"}}
      - {{name: four, workload: web, url: "http://127.0.0.1:1/"}}
"""


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with SimulatedCluster.start(tmp_path / "cluster") as started:
        await started.image("task-manager:v3")
        await started.apply(manifests.deployment("v3", replicas=4, env={}))
        yield started


class Exporter:
    """One running exporter."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def settled(self) -> bool:
        """Say whether everything was listed, and the four pods are ready as far as it shows."""
        return not self._running.schedule.missing()

    def series(self) -> set[str]:
        """Return the series it publishes of the world, without values."""
        lines = self._running.document().text().decode().splitlines()
        named = {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}
        return {one for one in named if not one.startswith((*FOREIGN, SINCE_START))}


async def test_the_shards_add_up_to_the_whole_and_share_nothing(cluster: Cluster) -> None:
    async with AsyncExitStack() as stack:

        async def start(index: int, total: int) -> Exporter:
            specs = app.collectors()
            text = SETTINGS.format(kubeconfig=cluster.kubeconfig, index=index, total=total)
            settings = validate(app.model(specs), read_yaml(text, file="exporter.yaml"))
            running = app.running(settings, specs, SystemClock(), every=timedelta(seconds=1))
            exporter = Exporter(await stack.enter_async_context(running))
            await wait_until(exporter.settled, 20, "everything was asked once")
            return exporter

        whole = await start(0, 1)
        shards = [await start(index, TOTAL) for index in range(TOTAL)]

        async def together() -> bool:
            found = [shard.series() for shard in shards]
            alone = whole.series()
            disjoint = sum(map(len, found)) == len(set().union(*found))
            return disjoint and set().union(*found) == alone and "kpi_pod_info" in str(alone)

        await wait_until(together, 30, "the shards publish what one alone does")
        published = [shard.series() for shard in shards]
        probes = {f'probe="{name}"' for name in ("one", "two", "three", "four")}
        for named in ("kpi_pod_info", "kpi_workload_replicas_desired", "kpi_node_ready", *probes):
            assert any(named in series for series in whole.series()), named
        assert sum(any("kpi_pod_" in series for series in one) for one in published) > 1
        assert sum(any("kpi_probe_" in series for series in one) for one in published) > 1
