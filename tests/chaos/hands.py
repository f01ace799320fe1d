"""Which rounds are played on one bed, one after the other."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from random import Random

from tests.chaos.rounds import Round

HANDS = (
    (1, ("kill", "kill", "kill at effect", "alertmanager", "prometheus")),
    (2, ("kill", "freeze", "kill at effect", "freeze at effect", "postgres", "alertmanager")),
    (3, ("kill", "freeze", "kill at effect", "postgres", "prometheus")),
)
"""How many responders there are, and what strikes them. Played again and again."""

PLANTED = Round(1, 1, "kill at effect", "restart", timedelta(0))
"""The round in which a responder that forgets what it did must be caught."""


def dice_of(seed: int, number: int) -> Random:
    """Return the dice of one round, which owe nothing to the rounds before it."""
    return Random(f"{seed}/{number}")  # noqa: S311 - moments, to be had again by the seed


def dealt(seed: int, rounds: int) -> Iterator[list[Round]]:
    """Deal that many rounds, a list for each bed; each depends on the seed and its number alone."""
    first = 1
    for turn in count():
        responders, strikes = HANDS[turn % len(HANDS)]
        order = list(strikes)
        dice_of(seed, -turn).shuffle(order)
        hand = [
            Round.thrown(number, responders, strike, dice_of(seed, number))
            for number, strike in enumerate(order, first)
            if number <= rounds
        ]
        if not hand:
            return
        yield hand
        first += len(order)
