"""What only the simulated cluster offers: faults, its record of requests, and its own end."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.bed.cluster.client import Client, at
from tests.bed.cluster.interface import Fault, FaultyCluster
from tests.bed.cluster.probe_manifests import config_map
from tests.bed.cluster.rest import path_of
from tests.bed.process import Process, wait_until

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("cluster", ["simulated"], indirect=True),
]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(409, "Conflict"), (410, "Expired"), (429, "TooManyRequests"), (500, "InternalError")],
)
async def test_a_fault_answers_as_often_as_asked(
    cluster: FaultyCluster, api: Client, namespace: str, status: int, reason: str
) -> None:
    path = path_of("ConfigMap", namespace)
    await cluster.faults.add(Fault("list", f"{namespace}/configmaps$", status, times=2))
    for _ in range(2):
        answer = await api.get(path)
        assert (answer.status, answer.at("kind"), answer.at("reason")) == (status, "Status", reason)
    assert (await api.get(path)).status == 200
    assert (await api.get(path_of("Secret", namespace))).status == 200


async def test_a_client_is_told_when_to_come_back(cluster: FaultyCluster, api: Client) -> None:
    await cluster.faults.add(Fault("list", "/nodes$", 429, retry_after=7))
    answer = await api.get("/api/v1/nodes")
    assert answer.headers["Retry-After"] == "7"
    assert answer.at("details.retryAfterSeconds") == 7


async def test_faults_hit_clients_and_not_the_bed(cluster: FaultyCluster, api: Client) -> None:
    await cluster.faults.add(Fault(status=500, times=-1))
    assert await cluster.get("Node", "", "sim-0") is not None
    for _ in range(3):
        assert (await api.get("/api/v1/nodes")).status == 500
    await cluster.faults.clear()
    assert (await api.get("/api/v1/nodes")).status == 200


async def test_latency_delays_one_request(cluster: FaultyCluster, api: Client) -> None:
    await cluster.faults.add(Fault("list", "/nodes$", latency=30))
    slow = asyncio.create_task(api.get("/api/v1/nodes"))
    assert (await api.get("/api/v1/namespaces")).status == 200
    assert (await api.get("/api/v1/nodes/sim-0")).status == 200
    assert not slow.done()
    slow.cancel()


async def test_a_cut_write_has_happened_though_its_answer_is_lost(
    cluster: FaultyCluster, api: Client, namespace: str
) -> None:
    path = path_of("ConfigMap", namespace)
    await cluster.faults.add(Fault("create", "configmaps$", cut=True))
    with pytest.raises(aiohttp.ClientError):
        await api.send("POST", path, config_map(namespace, "one"))
    assert (await api.get(f"{path}/one")).status == 200


async def test_a_cut_watch_breaks_in_the_middle_of_a_line(
    cluster: FaultyCluster, api: Client, namespace: str
) -> None:
    path = path_of("ConfigMap", namespace)
    await cluster.faults.add(Fault("watch", cut=True, cut_after=1))
    for name in "ab":
        await api.send("POST", path, config_map(namespace, name))
    async with api.watch(path) as watch:
        assert at(await watch.next(), "object.metadata.name") == "a"
        with pytest.raises((aiohttp.ClientError, ValueError)):
            await watch.next()


async def test_requests_are_on_record(cluster: FaultyCluster, namespace: str) -> None:
    async with Client.connect(cluster.kubeconfig, user_agent=namespace) as api:
        path = path_of("ConfigMap", namespace)
        await api.send("POST", path, config_map(namespace, "one"))
        await api.get(f"{path}/one")
        async with api.watch(path):
            pass
    seen = [(r.verb, r.path) for r in cluster.requests() if r.user_agent == namespace]
    assert seen == [("create", path), ("get", f"{path}/one"), ("watch", path)]
    assert not any(r.user_agent == "bed" for r in cluster.requests())


OWNER = """
import asyncio, pathlib, sys
from tests.bed.cluster.probe_manifests import deployment
from tests.bed.cluster.simulated import SimulatedCluster

async def main(root):
    async with SimulatedCluster.start(root / "cluster") as cluster:
        await cluster.image("probe-app:v1")
        await cluster.apply(deployment("default", replicas=2))
        await asyncio.sleep(60)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def belonging_to(mark: str) -> set[int]:
    """Return the processes whose environment or command holds `mark`."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:
            continue
        if mark.encode() in told:
            found.add(int(process.name))
    return found - {os.getpid()}


async def test_nothing_outlives_an_owner_that_was_killed(
    cluster: FaultyCluster, tmp_path: Path
) -> None:
    assert cluster.kubeconfig.exists()
    mark = {"BED_MARK": str(tmp_path)}
    owner = await Process.start(
        [sys.executable, "-c", OWNER, tmp_path], log=tmp_path / "log", name="owner", env=mark
    )

    async def running() -> bool:
        return len(belonging_to(str(tmp_path))) == 4  # the owner, the cluster and two pods

    await wait_until(running, 15, "the pods run")
    owner.send(signal.SIGKILL)
    await owner.wait(5)

    async def gone() -> bool:
        return not belonging_to(str(tmp_path))

    await wait_until(gone, 10, "all are gone")
