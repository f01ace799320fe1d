"""`make chaos`: kill, freeze and restart what runs, and count at the target what came of it."""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos import ground
from tests.chaos.hands import PLANTED, dealt, dice_of
from tests.chaos.rounds import Outcome, Round, play

COLUMNS = (
    "responders",
    "strike",
    "rounds",
    "wrong",
    "repeated",
    "missing",
    "longest time to go on",
)
RECKLESS = [sys.executable, "-m", "tests.bed.reckless"]

out = Console(width=200, highlight=False, markup=False)


def main() -> None:
    """Play; exit 0 only when nothing was wrong, or, with what is planted, when it was caught."""
    parser = argparse.ArgumentParser(description=__doc__)
    env = os.environ.get
    parser.add_argument("--rounds", type=int, default=int(env("ROUNDS") or 50))
    chance = int(env("SEED") or secrets.randbelow(1_000_000))
    parser.add_argument("--seed", type=int, default=chance)
    one = int(env("ROUND") or 0)
    parser.add_argument("--round", type=int, default=one, help="play this one alone")
    planted = "play a responder that forgets what it did; it must be caught"
    parser.add_argument("--plant", action="store_true", default=bool(env("PLANT")), help=planted)
    options = parser.parse_args()
    out.print(f"SEED={options.seed}")
    hands = list(dealt(options.seed, max(options.rounds, options.round)))
    if options.round:
        hands = [[it for it in hand if it.number == options.round] for hand in hands]
    argv = None
    if options.plant:
        hands, argv = [[PLANTED]], RECKLESS
    outcomes = asyncio.run(_play(options.seed, hands, argv))
    out.print(table(outcomes))
    wrong = [outcome for outcome in outcomes if outcome.mistakes]
    out.print(f"SEED={options.seed}: {len(outcomes)} rounds, {len(wrong)} of them wrong")
    sys.exit(0 if bool(wrong) == options.plant else 1)


async def _play(
    seed: int, hands: Iterable[Sequence[Round]], argv: list[str] | None
) -> list[Outcome]:
    """Play every hand; one that goes wrong is gone on with on a new bed."""
    outcomes: list[Outcome] = []
    for hand in hands:
        left = list(hand)
        while left:
            played = await _on_one_bed(seed, left, argv)
            outcomes += played
            left = left[len(played) :]
    return outcomes


async def _on_one_bed(seed: int, hand: Sequence[Round], argv: list[str] | None) -> list[Outcome]:
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="runbookd-chaos-") as folder:
        responders = hand[0].responders
        async with ground.start(Path(folder), argv, responders=responders) as bed:
            for thrown in hand:
                outcome = await play(bed, dice_of(seed, thrown.number), thrown)
                outcomes.append(outcome)
                out.print(line(outcome))
                if outcome.mistakes:
                    again = f"SEED={seed} ROUND={thrown.number}" if argv is None else "PLANT=1"
                    out.print(outcome.story, f"once more: make chaos {again}", sep="\n")
                    break
    return outcomes


def line(outcome: Outcome) -> str:
    """Say in one line how a round ended."""
    thrown, idle = outcome.round, outcome.blow.idle_seconds
    on = "alone" if thrown.responders == 1 else f"{thrown.responders} replicas"
    gone_on = "" if idle is None else f", gone on after {idle:.1f} s"
    verdict = "; ".join(outcome.mistakes) or "as it must"
    return (
        f"{thrown.number:3} {on:10} {thrown}: {outcome.blow.what}{gone_on},"
        f" over after {outcome.seconds:.1f} s: {verdict}"
    )


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return what became of each kind of strike."""
    drawn = Table(*COLUMNS)
    kinds = sorted({(it.round.responders, it.round.strike) for it in outcomes})
    for responders, strike in kinds:
        of_kind = [
            it for it in outcomes if (it.round.responders, it.round.strike) == (responders, strike)
        ]
        idle = [it.blow.idle_seconds for it in of_kind if it.blow.idle_seconds is not None]
        drawn.add_row(
            str(responders),
            strike,
            str(len(of_kind)),
            str(sum(bool(it.mistakes) for it in of_kind)),
            str(sum(max(0, it.repeats) for it in of_kind)),
            str(sum(max(0, -it.repeats) for it in of_kind)),
            f"{max(idle):.1f} s" if idle else "-",
        )
    return drawn


if __name__ == "__main__":
    main()
