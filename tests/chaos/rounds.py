"""One round: a cause, a strike at a random moment, and how it ended."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from typing_extensions import override

from exporter.shared.clock import SystemClock
from exporter.shared.errors import RunbookdError
from tests.bed import watch
from tests.bed.bed import Bed
from tests.bed.process import wait_until
from tests.chaos import counting, ground
from tests.chaos.strikes import ON_FLEET, ON_ONE, Blow, strike_later

LATEST_SECONDS = {"release": 14.0, "restart": 4.0}
"""A bad release is rolled back and verified within about this time, a restart is done within it."""

IN_RUN_SECONDS = 6.0
OVER_SECONDS = 120.0

clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Round:
    """What happens: all of it comes from the seed."""

    number: int
    """From 1, on its bed."""
    cause: str
    """`release` or `restart`."""
    strike: str
    moment: timedelta

    @classmethod
    def thrown(cls, dice: Random, number: int, strike: str) -> "Round":
        """Throw the dice for a round."""
        cause = dice.choice(("release", "restart"))
        at_worker = strike.endswith("-replica")
        latest = IN_RUN_SECONDS if at_worker else LATEST_SECONDS[cause]
        if at_worker and cause == "restart":
            latest = 1.0
        return cls(number, cause, strike, timedelta(seconds=dice.uniform(0.0, latest)))

    @override
    def __str__(self) -> str:
        return f"{self.cause}, {self.strike} after {self.moment.total_seconds():.2f} s"


@dataclass(slots=True)
class Outcome:
    """How a round ended."""

    round: Round
    blow: Blow
    seconds: float
    mistakes: list[str] = field(default_factory=list)


async def play(bed: Bed, dice: Random, thrown: Round) -> Outcome:
    """Play a round to its end. Raises AssertionError with the story when it does not end."""
    began = clock.monotonic()
    if thrown.cause == "release":
        await bed.deploy("v4-errors")
    expected = counting.Expected(await counting.generation(bed) + 1, thrown.number)
    if thrown.cause == "restart":
        await watch.call(bed, "/api/v1/runs", ground.RESTART)
    in_run = thrown.strike.endswith("-replica")
    strike = (ON_FLEET if bed.fleet else ON_ONE)[thrown.strike]
    try:
        blow = await strike_later(strike, bed, dice, thrown.moment, in_run=in_run)
        await wait_until(lambda: _over(bed, thrown), OVER_SECONDS, f"{thrown} is over")
        await wait_until(bed.rolled_out, 30, "the Deployment is rolled out")
    except TimeoutError as error:
        raise AssertionError(f"{error}\n{await counting.story(bed)}") from error
    outcome = Outcome(thrown, blow, clock.monotonic() - began, await expected.mistakes(bed))
    outcome.mistakes += await blow.after(bed, expected)
    return outcome


async def _over(bed: Bed, thrown: Round) -> bool:
    try:
        return await counting.all_over(bed, thrown.number)
    except RunbookdError:
        return False  # nobody answers yet
