"""Clusters for the product's own tests, and what was measured on them in a table at the end."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.bed.real_bed import Ground
from tests.bed.stage import Played, Stage
from tests.bed.story import HEAD

TOLD = pytest.StashKey[dict[str, str]]()
"""Lines of the table, by what was played."""
LONGEST = ("unfixable", "db-connections", "memory-leak")
"""What begins first, so that nobody waits for it in the end."""


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """Every scenario that is asked for, under way from the start, beside the other tests.

    There are two clusters, since a third would leave two cores no moment of rest, and then what
    suffers first is what is measured: latency and probes.
    """
    asked = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.function.__name__ == "test_a_scenario_ends_as_it_should"
    ]
    root = tmp_path_factory.mktemp("stage")
    async with Stage.open(root, sorted(asked, key=lambda name: name not in LONGEST)) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ground(stage: Stage) -> AsyncIterator[Ground]:
    """A cluster for all tests but the scenarios."""
    async with stage.another("ground") as one:
        yield one


@pytest.fixture(scope="session")
def plays(stage: Stage, ground: Ground) -> dict[str, asyncio.Task[Played]]:
    """How each scenario goes; nobody may use the other cluster once somebody has asked."""
    stage.join(ground)
    return stage.plays


@pytest.fixture
def table(pytestconfig: pytest.Config) -> dict[str, str]:
    """Lines to show when all is over, by what was played."""
    return pytestconfig.stash.setdefault(TOLD, {})


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash.get(TOLD, {}):
        terminalreporter.section("seconds since the cause")
        for line in (HEAD, *lines.values()):
            terminalreporter.write_line(line)
