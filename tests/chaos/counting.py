"""What must be true at the end, counted where it happened: at the target, and in the incidents."""

from dataclasses import dataclass
from datetime import datetime

from responder.domain.values import JsonObject
from tests.bed import manifests, watch
from tests.bed.bed import Bed

TARGET = watch.TASK_MANAGER
RUNBOOKS = ("bad-release", "roll")
"""Those of the ground that act; warnings are looked at beside them, which changes nothing."""


async def generation(bed: Bed) -> int:
    """Return how often the Deployment's spec was changed: one for each release and each effect."""
    return int(str(await watch.generation(bed)))


async def incidents(bed: Bed) -> list[JsonObject]:
    """Return every incident whole, newest first."""
    numbers = [item["id"] for item in await watch.incidents(bed)]
    wholes = [await watch.call(bed, f"/api/v1/incidents/{number}") for number in numbers]
    return [whole for whole in wholes if isinstance(whole, dict)]


async def results(bed: Bed) -> list[str]:
    """Return how the runs that may change something ended; empty for one that has not."""
    every = [run for whole in await incidents(bed) for run in _rows(whole, "runs")]
    return [str(run["result"]) for run in every if run["runbook"] in RUNBOOKS]


async def story(bed: Bed, since: datetime) -> str:
    """Return the timelines of every incident since then, for whoever reads a failure."""
    facts = [fact for whole in await incidents(bed) for fact in _rows(whole, "timeline")]
    told = [fact for fact in facts if datetime.fromisoformat(str(fact["at"])) >= since]
    return "\n".join(sorted(f"{fact['at']} {fact['text']}" for fact in told))


async def all_over(bed: Bed, runs: int) -> bool:
    """Say whether no incident on the target is open and there were that many runs, all ended."""
    found = await watch.call(bed, "/api/v1/incidents?status=open")
    assert isinstance(found, list)
    live = [item for item in found if isinstance(item, dict) and item["target"] == TARGET]
    ended = await results(bed)
    return live == [] and len(ended) == runs and "" not in ended


@dataclass(frozen=True, slots=True)
class Expected:
    """How a round must end."""

    generation: int
    """One effect more than there was when its cause was there."""
    runs: int
    stamp: str
    """The last restart before the round; a rollback keeps it."""
    restarts: bool

    @classmethod
    async def after(cls, bed: Bed, *, restarts: bool) -> "Expected":
        """Return what one more effect makes of what is there now."""
        runs = len(await results(bed)) + 1
        stamp = await watch.restarted_at(bed)
        return cls(await generation(bed) + 1, runs, stamp, restarts)

    async def repeats(self, bed: Bed) -> int:
        """Return how many changes of the target were too many; negative when some are missing."""
        return await generation(bed) - self.generation

    async def mistakes(self, bed: Bed) -> list[str]:
        """Return what is not as it must be."""
        image, ended, wrong = await bed.image(), await results(bed), []
        if repeats := await self.repeats(bed):
            wrong.append(f"{repeats:+d} changes of the target")
        if image != f"{manifests.NAME}:v3":
            wrong.append(f"the target runs {image}")
        if (await watch.restarted_at(bed) != self.stamp) is not self.restarts:
            wrong.append("the stamp of the last restart is not this round's")
        if bad := set(ended) - {"cured", "completed"}:
            wrong.append(f"runs ended {', '.join(sorted(bad))}")
        if len(ended) != self.runs:
            wrong.append(f"{len(ended)} runs instead of {self.runs}")
        return wrong


def _rows(whole: JsonObject, name: str) -> list[JsonObject]:
    rows = whole[name]
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]
