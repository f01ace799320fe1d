"""One round: a cause, a strike at a random moment, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from typing_extensions import override

from exporter.shared.clock import SystemClock
from exporter.shared.errors import RunbookdError
from tests.bed import watch
from tests.bed.bed import Bed
from tests.bed.cluster.interface import Fault
from tests.bed.manifests import NAME
from tests.bed.process import wait_until
from tests.chaos import claims, counting, ground
from tests.chaos.counting import Expected
from tests.chaos.strikes import ON_FLEET, ON_ONE, Blow, Strike, When

LATEST_SECONDS: Mapping[tuple[When, str], float] = {
    (When.ANY_TIME, "release"): 14.0,
    (When.ANY_TIME, "restart"): 4.0,
    (When.IN_RUN, "release"): 6.0,
    (When.IN_RUN, "restart"): 1.0,
}
"""A bad release is rolled back and verified within about the first, a restart is done within the
second; a run of theirs is under way for at least the others."""

UNDER_WAY_SECONDS = 60.0
OVER_SECONDS = 120.0

LOST_ANSWER = Fault(verb="patch", path=f"/{NAME}$", cut=True)

clock = SystemClock()


@dataclass(frozen=True, slots=True)
class Round:
    """What happens: all of it comes from the seed."""

    number: int
    """From 1."""
    responders: int
    strike: str
    cause: str
    """`release` or `restart`."""
    moment: timedelta

    @property
    def what(self) -> Strike:
        """Return what strikes."""
        return (ON_ONE if self.responders == 1 else ON_FLEET)[self.strike]

    @classmethod
    def thrown(cls, number: int, responders: int, strike: str, dice: Random) -> "Round":
        """Throw the dice for a round."""
        what = (ON_ONE if responders == 1 else ON_FLEET)[strike]
        cause = dice.choice(what.causes)
        latest = LATEST_SECONDS.get((what.when, cause), 0.0)
        moment = timedelta(seconds=dice.uniform(0.0, latest))
        return cls(number, responders, strike, cause, moment)

    @override
    def __str__(self) -> str:
        when = {
            When.ANY_TIME: f"after {self.moment.total_seconds():.2f} s",
            When.IN_RUN: f"{self.moment.total_seconds():.2f} s into the run",
            When.AT_EFFECT: "with the answer lost",
        }[self.what.when]
        return f"{self.cause}, {self.strike} {when}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a round ended."""

    round: Round
    blow: Blow
    seconds: float
    repeats: int
    mistakes: list[str]
    """Empty when everything is as it must be."""
    story: str
    """The timelines of the round, where something is not."""


async def play(bed: Bed, dice: Random, thrown: Round) -> Outcome:
    """Play a round to its end, or until it is given up."""
    since, began = clock.now(), clock.monotonic()
    if thrown.cause == "release":
        await bed.deploy("v4-errors")
    expected = await Expected.after(bed, restarts=thrown.cause == "restart")
    if thrown.what.when is When.AT_EFFECT:
        await bed.faults.add(LOST_ANSWER)  # not earlier: a release is a patch, too
    if thrown.cause == "restart":
        await watch.call(bed, "/api/v1/runs", ground.RESTART)
    blow = Blow("nothing fell")
    try:
        await _moment(bed, thrown, expected)
        blow = await thrown.what.fall(bed, dice)
        await wait_until(lambda: _over(bed, expected.runs), OVER_SECONDS, f"{thrown} is over")
        await wait_until(bed.rolled_out, 30, "the Deployment is rolled out")
        mistakes = blow.too_slow + await blow.after(bed) + await expected.mistakes(bed)
    except (TimeoutError, RunbookdError) as error:
        mistakes = [str(error)]
    seconds, repeats = clock.monotonic() - began, await expected.repeats(bed)
    story = await _told(bed, since) if mistakes else ""
    return Outcome(thrown, blow, seconds, repeats, mistakes, story)


async def _told(bed: Bed, since: datetime) -> str:
    try:
        return await counting.story(bed, since)
    except RunbookdError as error:
        return f"no timeline can be read: {error}"


async def _moment(bed: Bed, thrown: Round, expected: Expected) -> None:
    """Return when it is time to strike."""

    async def landed() -> bool:
        return await expected.repeats(bed) >= 0

    match thrown.what.when:
        case When.AT_EFFECT:
            await wait_until(landed, UNDER_WAY_SECONDS, "the target is changed")
            return
        case When.IN_RUN:
            await wait_until(lambda: claims.under_way(bed), UNDER_WAY_SECONDS, "a run is under way")
        case When.ANY_TIME:
            pass
    await clock.sleep(thrown.moment)


async def _over(bed: Bed, runs: int) -> bool:
    try:
        return await counting.all_over(bed, runs)
    except RunbookdError:
        return False  # nobody answers yet
