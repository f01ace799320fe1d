"""What of the dashboards only a real cluster can fill: use, network, disks and capacity."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bed import real_bed, watch
from tests.bed.dashboard_answers import answers, measured
from tests.bed.load import Load
from tests.bed.process import wait_until
from tests.bed.real_bed import Ground

pytestmark = [pytest.mark.timeout(420), pytest.mark.asyncio(loop_scope="session")]

RESOURCES = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}
UNTOLD = "the kubelet of a node in namespaces does not see the interfaces of its pods"
ABSENT: Mapping[str, str] = {
    "kpi_pod_network_receive_bytes_total": UNTOLD,
    "kpi_pod_network_transmit_bytes_total": UNTOLD,
    "kpi_volume_available_bytes": "no pod has a claim",
    "kpi_volume_inodes_free": "no pod has a claim",
    "namespace_persistentvolumeclaim:kpi_volume_disk_ratio:rate": "no pod has a claim",
    "namespace_persistentvolumeclaim:kpi_full_days:deriv6h": "no pod has a claim",
    "node_filesystem:kpi_full_days:deriv6h": "the disk may empty in these minutes",
}


async def test_what_only_a_real_cluster_measures_is_drawn(ground: Ground, tmp_path: Path) -> None:
    async with real_bed.start(ground, tmp_path, factor=20.0, resources=RESOURCES) as bed:
        urls = [f"{bed.places.probe_url}/tasks"]

        async def drawn() -> bool:
            found = await answers(bed.prometheus, ABSENT, only=measured())
            silent[:] = found.silent
            assert found.refused == []
            return found.silent == []

        silent: list[str] = []
        async with Load.start(lambda: urls, rate=20.0, seconds=300.0):
            await watch.until_healthy(bed)
            # metrics-server and kubelets know what is used once they have looked twice.
            with suppress(TimeoutError):
                await wait_until(drawn, 180, "all of it is drawn")
        assert silent == []
