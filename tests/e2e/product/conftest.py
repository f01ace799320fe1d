"""One cluster for the product's own tests, and what they measured in a table at the end."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.bed import real_bed
from tests.bed.cluster.real import RealCluster, Wanted
from tests.bed.real_bed import Ground
from tests.bed.rights import Right

TOLD = pytest.StashKey[list[str]]()
"""Lines of the table, one a scenario."""
HEAD = f"{'scenario':<20} {'factor':>6} {'detected':>9} {'acted':>7} {'verified':>9} {'over':>7}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """A real cluster with metrics-server, kwok and the images."""
    root = tmp_path_factory.mktemp("cluster")
    async with RealCluster.start(root, Wanted(metrics=True, kwok=True)) as cluster:
        yield await real_bed.prepare(cluster)


@pytest.fixture(scope="session")
def granted() -> set[Right]:
    """What any release gave to the product's accounts."""
    return set()


@pytest.fixture
def table(pytestconfig: pytest.Config) -> list[str]:
    """Lines to show when all is over."""
    return pytestconfig.stash.setdefault(TOLD, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash.get(TOLD, []):
        terminalreporter.section("seconds since the cause")
        for line in (HEAD, *lines):
            terminalreporter.write_line(line)
