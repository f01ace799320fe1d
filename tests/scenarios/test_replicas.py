"""Of two responders on one PostgreSQL the one that works is killed or frozen, or their store is."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from tests.bed.bed import Bed
from tests.bed.dice import SEED
from tests.chaos import ground
from tests.chaos.rounds import Outcome, Round, play

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

LEASE = timedelta(seconds=6)
"""Shorter than the default, so that the tests are; `make chaos` waits for the whole."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bed]:
    root = tmp_path_factory.mktemp("pair")
    async with ground.start(root, responders=2, lease=LEASE) as bed:
        yield bed


async def _played(bed: Bed, strike: str, cause: str, seconds: float = 0.0) -> Outcome:
    """Play one round; what it counts is at the target."""
    dice = random.Random(SEED)  # noqa: S311 - how long the store is away
    outcome = await play(bed, dice, Round(1, 2, strike, cause, timedelta(seconds=seconds)))
    assert outcome.mistakes == [], f"SEED={SEED}\n{outcome.story}"
    return outcome


async def test_when_the_one_that_works_is_killed_the_other_goes_on_and_repeats_nothing(
    pair: Bed,
) -> None:
    outcome = await _played(pair, "kill", "release", 1.0)
    assert outcome.blow.idle_seconds is not None


async def test_one_frozen_before_it_learns_of_its_effect_is_replaced_and_does_nothing_once_thawed(
    pair: Bed,
) -> None:
    outcome = await _played(pair, "freeze at effect", "restart")
    assert outcome.blow.idle_seconds is not None


async def test_a_crash_of_their_store_amid_a_bad_release_changes_nothing_of_its_end(
    pair: Bed,
) -> None:
    await _played(pair, "postgres", "release", 8.0)
