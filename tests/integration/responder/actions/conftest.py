from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.bed.steps import Bench


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def started_bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """One cluster for all tests; each deploys under a name of its own."""
    async with Bench.start(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@pytest_asyncio.fixture(loop_scope="session")
async def bench(started_bench: Bench) -> AsyncIterator[Bench]:
    yield started_bench
    await started_bench.cluster.faults.clear()
    started_bench.step.attached.clear()
    started_bench.step.told.clear()
