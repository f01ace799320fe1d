"""How a real cluster begins and ends, and that two do not meet."""

import asyncio
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from exporter.shared.clock import SystemClock
from tests.bed.cluster.client import Client, at
from tests.bed.cluster.probe_manifests import PORT, deployment, service
from tests.bed.cluster.real import RealCluster, guardian
from tests.bed.cluster.rollouts import Probe
from tests.bed.process import Process, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

START_SECONDS = 20.0
"""Five, were the machine ours alone."""

OWNER = """
import asyncio, pathlib, signal, sys
from tests.bed.cluster.probe_manifests import deployment
from tests.bed.cluster.real import RealCluster

async def main(root):
    async with RealCluster.start(root) as cluster:
        await cluster.image("probe-app:v1")
        await cluster.apply(deployment("default", replicas=2))
        cluster.kubectl("rollout", "status", "deployment/probe", "--timeout=60s")
        (root / "bed").write_text(f"{cluster.places.network.bed} {cluster.places.home}")
        await asyncio.sleep(600)

# What a shell has started in its background inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def traces(bed: str, home: Path) -> list[str]:
    """Return what this machine shows of a bed: processes, mounts, links, groups, files, names."""
    found = [f"{process}" for process in processes_below(home)]
    mounts = Path("/proc/mounts").read_text().splitlines()
    found += [line for line in mounts if str(home) in line]
    groups = [root / bed for root in guardian.hierarchies()]
    found += [str(path) for path in (*groups, guardian.LINKS / bed, home) if path.exists()]
    names = Path("/proc/net/unix").read_text().splitlines()
    return found + [line for line in names if line.endswith(f"@{bed}")]


def processes_below(home: Path) -> list[Path]:
    """Return the processes that work in a folder or name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes().decode(errors="replace")
            place = (process / "cwd").readlink()
        except OSError:
            continue
        if int(process.name) != os.getpid() and (str(home) in said or place.is_relative_to(home)):
            found.append(process)
    return found


async def test_a_cluster_is_up_in_seconds_and_gone_at_its_end(tmp_path: Path) -> None:
    clock = SystemClock()
    begun = clock.monotonic()
    async with RealCluster.start(tmp_path) as cluster:
        assert clock.monotonic() - begun < START_SECONDS
        bed, home = cluster.places.network.bed, cluster.places.home
        assert len(processes_below(home)) > 8
    assert traces(bed, home) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_nothing_outlives_an_owner(tmp_path: Path, number: signal.Signals) -> None:
    owner = await Process.start(
        [sys.executable, "-c", OWNER, tmp_path], log=tmp_path / "owner.log", name="owner"
    )

    async def told() -> str:
        assert owner.exit_code is None, owner.tail()
        return await asyncio.to_thread(read, tmp_path / "bed")

    bed, home = (await wait_until(told, 90, "its pods run")).split()
    running = processes_below(Path(home))
    assert len([process for process in running if b"shim" in process_name(process)]) == 2
    owner.send(number)
    await owner.wait(30)

    async def gone() -> bool:
        return not await asyncio.to_thread(traces, bed, Path(home))

    await wait_until(gone, 30, "every trace of the bed is gone")


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def process_name(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


async def test_a_bed_whose_guardian_was_killed_too_is_cleared_by_the_next(tmp_path: Path) -> None:
    stale = Path(tempfile.gettempdir()) / "runbookd-250"
    groups = [root / "runbookd-250" / "kubepods" for root in guardian.hierarchies()]
    for folder in (stale, *groups):
        folder.mkdir(parents=True)
    sleeper = await Process.start(["sleep", "600"], log=tmp_path / "log", name="left behind")
    (groups[0] / "cgroup.procs").write_text(str(sleeper.pid))
    assert guardian.clear("runbookd-250", stale) == []
    assert await sleeper.wait(5) == -signal.SIGKILL
    assert not any(path.exists() for path in (stale, *groups))


async def test_two_clusters_do_not_meet(cluster: RealCluster, tmp_path: Path) -> None:
    async with RealCluster.start(tmp_path) as other:
        assert other.places.network != cluster.places.network
        for one in (cluster, other):
            await one.image("probe-app:v1")
            await one.apply(service("default"))
            await one.apply(deployment("default"))
        for one in (cluster, other):
            async with Client.connect(one.kubeconfig) as api:
                probe = Probe(api, "default")
                await probe.rolled_out()
                [pod] = await probe.pods()
                found = await one.get("Service", "default", "probe")
                url = f"http://{at(found, 'spec.clusterIP')}:{PORT}"
                wanted = f"v1 {at(pod, 'metadata.name')}\n"
                await wait_until(partial(answers, url, wanted), 20, "the Service answers")
        await cluster.delete("Deployment", "default", "probe")
        await cluster.delete("Service", "default", "probe")


async def answers(url: str, wanted: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.text() == wanted
    except aiohttp.ClientConnectorError:
        return False
