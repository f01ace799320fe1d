"""The responder is killed at the worst moments: every effect is made once, no incident is lost."""

import random
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.bed.dice import KILLS, SEED
from tests.chaos import ground
from tests.chaos.hands import PLANTED
from tests.chaos.rounds import LATEST_SECONDS, Round, play
from tests.chaos.strikes import When

pytestmark = pytest.mark.timeout(120 + 60 * KILLS)


async def test_kills_at_random_moments_repeat_nothing_lose_nothing_and_cost_seconds(
    tmp_path: Path,
) -> None:
    dice = random.Random(SEED)  # noqa: S311 - the moments of kills, to be had again by the seed
    async with ground.start(tmp_path) as bed:
        for number in range(1, KILLS + 1):
            cause = "release" if number % 2 else "restart"
            latest = LATEST_SECONDS[(When.ANY_TIME, cause)]
            moment = timedelta(seconds=dice.uniform(0.0, latest))
            outcome = await play(bed, dice, Round(number, 1, "kill", cause, moment))
            assert outcome.mistakes == [], f"{outcome.round}, SEED={SEED}\n{outcome.story}"


@pytest.mark.parametrize(
    ("responder", "repeats"),
    [
        pytest.param([sys.executable, "-m", "responder"], 0, id="the product probes"),
        pytest.param([sys.executable, "-m", "tests.bed.reckless"], 1, id="a planted fault repeats"),
    ],
)
async def test_a_restart_whose_answer_was_lost_in_a_crash(
    tmp_path: Path, responder: list[str], repeats: int
) -> None:
    """The second case shows that the count would catch a repeat: it has neither probe nor CAS."""
    async with ground.start(tmp_path, responder) as bed:
        outcome = await play(bed, random.Random(SEED), PLANTED)  # noqa: S311 - throws nothing
    assert outcome.repeats == repeats, outcome.story
    assert (outcome.mistakes == []) is (repeats == 0), outcome.mistakes
