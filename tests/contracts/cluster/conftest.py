"""The clusters that have to behave alike, and a namespace of its own for each test."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.bed.cluster import namespaces
from tests.bed.cluster.client import Client
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.real import RealCluster
from tests.bed.cluster.simulated import SimulatedCluster

FORMS: dict[str, Callable[[Path], AbstractAsyncContextManager[Cluster]]] = {
    "simulated": SimulatedCluster.start,
    "real": RealCluster.start,
}
"""Form → its `start(root)`."""
CHOSEN = os.environ.get("CLUSTER", "simulated").split(",")
"""The forms that this run is about: `make e2e` chooses the real one."""


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=CHOSEN)
async def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """One cluster of each form for all tests, which share its node and its faults."""
    async with FORMS[request.param](tmp_path_factory.mktemp("cluster")) as started:
        for tag in ("v1", "v2", "sick", "crash"):
            await started.image(f"probe-app:{tag}")
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def api(cluster: Cluster) -> AsyncIterator[Client]:
    async with Client.connect(cluster.kubeconfig) as connected:
        yield connected


@pytest_asyncio.fixture(loop_scope="session")
async def namespace(api: Client) -> AsyncIterator[str]:
    async with namespaces.fresh(api) as name:
        yield name
