"""The real cluster of this folder's tests: one of ours, or with CLUSTER=given a person's own."""

import os
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.bed.cluster import namespaces
from tests.bed.cluster.client import Client
from tests.bed.cluster.kubectl import Kubectl
from tests.bed.cluster.real import RealCluster, Wanted, images
from tests.bed.process import BedError, program

GIVEN = os.environ.get("CLUSTER") == "given"
TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Anywhere:
    """What a test needs that runs on every cluster."""

    kubectl: Kubectl
    image: str
    """Reference of the image of both programs."""
    own: RealCluster | None = None
    """The cluster, when it is one of ours."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave on a person's cluster only what takes `anywhere`; give each test time for pods."""
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in mine:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))
    if GIVEN:
        kept = [item for item in items if runs_anywhere(getattr(item, "fixturenames", ()))]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def runs_anywhere(fixtures: Collection[str]) -> bool:
    """Say whether a test needs a cluster, and none of ours."""
    return "anywhere" in fixtures and "cluster" not in fixtures


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def anywhere(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Anywhere]:
    """The cluster of all tests here; each has a namespace of its own in it."""
    if GIVEN:
        kubectl = program("kubectl", package="kubectl")
        yield Anywhere(Kubectl(Path(kubectl), Path(os.environ["KUBECONFIG"])), os.environ["IMAGE"])
        return
    product = images.product()
    root = tmp_path_factory.mktemp("real")
    async with RealCluster.start(root, Wanted(metrics=True, kwok=True)) as own:
        await own.load(product.archive)
        await own.image("probe-app:v1")
        yield Anywhere(own.kubectl, product.reference, own)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(anywhere: Anywhere) -> RealCluster:
    """That cluster, for what only one of ours can show. It has metrics-server and kwok."""
    if anywhere.own is None:
        raise BedError("this test needs a cluster of ours")
    return anywhere.own


@pytest_asyncio.fixture(loop_scope="session")
async def api(anywhere: Anywhere) -> AsyncIterator[Client]:
    """A client of the administrator's."""
    async with Client.connect(anywhere.kubectl.kubeconfig) as connected:
        yield connected


@pytest_asyncio.fixture(loop_scope="session")
async def namespace(api: Client) -> AsyncIterator[str]:
    """A fresh namespace."""
    async with namespaces.fresh(api) as name:
        yield name
