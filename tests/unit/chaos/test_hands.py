"""The dice of the chaos rounds."""

from itertools import chain

import pytest

from tests.chaos.hands import HANDS, dealt
from tests.chaos.rounds import Round


def rounds(seed: int, count: int) -> list[Round]:
    return list(chain.from_iterable(dealt(seed, count)))


def test_a_round_depends_on_the_seed_and_its_number_alone() -> None:
    assert rounds(7, 50)[:20] == rounds(7, 20)
    assert rounds(7, 50) != rounds(8, 50)


def test_the_rounds_are_numbered_and_a_bed_has_as_many_responders_as_each_of_its_rounds() -> None:
    assert [it.number for it in rounds(7, 50)] == list(range(1, 51))
    assert {len({it.responders for it in hand}) for hand in dealt(7, 50)} == {1}


@pytest.mark.parametrize("seed", range(5))
def test_every_strike_falls_before_one_falls_again_on_as_many(seed: int) -> None:
    once = sum(len(strikes) for _, strikes in HANDS)
    fallen = [(it.responders, it.strike) for it in rounds(seed, once)]
    assert sorted(fallen) == sorted((count, each) for count, strikes in HANDS for each in strikes)
