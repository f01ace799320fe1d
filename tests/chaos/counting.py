"""What must be true at the end, counted where it happened: at the target, and in the incidents."""

from dataclasses import dataclass

from responder.actions.restart import RESTARTED_AT
from responder.domain.values import JsonObject
from tests.bed import manifests, watch
from tests.bed.bed import Bed

TARGET = f"deployment/{manifests.NAMESPACE}/{manifests.NAME}"
RUNBOOKS = ("bad-release", "roll")
"""Those of the ground that act; warnings are looked at beside them, which changes nothing."""


async def generation(bed: Bed) -> int:
    """Return how often the Deployment's spec was changed: one for each release and each effect."""
    found = await bed.deployment()
    metadata = found["metadata"]
    assert isinstance(metadata, dict)
    return int(metadata["generation"])


async def restarted_at(bed: Bed) -> object:
    """Return the stamp of the last restart, which a repeat leaves as it is."""
    found = await bed.deployment()
    spec = found["spec"]
    assert isinstance(spec, dict)
    return spec["template"]["metadata"].get("annotations", {}).get(RESTARTED_AT)


async def incidents(bed: Bed) -> list[JsonObject]:
    """Return every incident whole, newest first."""
    found = await watch.call(bed, "/api/v1/incidents")
    assert isinstance(found, list)
    ids = [item["id"] for item in found if isinstance(item, dict)]
    wholes = [await watch.call(bed, f"/api/v1/incidents/{number}") for number in ids]
    return [whole for whole in wholes if isinstance(whole, dict)]


async def results(bed: Bed) -> list[str]:
    """Return how the runs that may change something ended; empty for one that has not."""
    every = [run for whole in await incidents(bed) for run in _rows(whole, "runs")]
    return [str(run["result"]) for run in every if run["runbook"] in RUNBOOKS]


async def story(bed: Bed) -> str:
    """Return every timeline, for whoever reads a failure."""
    facts = [fact for whole in await incidents(bed) for fact in _rows(whole, "timeline")]
    return "\n".join(sorted(f"{fact['at']} {fact['text']}" for fact in facts))


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
    runs: int

    async def mistakes(self, bed: Bed) -> list[str]:
        """Return what is not as it must be."""
        found, image, ended = await generation(bed), await bed.image(), await results(bed)
        wrong = []
        if found != self.generation:
            wrong.append(f"{found - self.generation:+d} changes of the target")
        if image != f"{manifests.NAME}:v3":
            wrong.append(f"the target runs {image}")
        if bad := set(ended) - {"cured", "completed"}:
            wrong.append(f"runs ended {', '.join(sorted(bad))}")
        return wrong


def _rows(whole: JsonObject, name: str) -> list[JsonObject]:
    rows = whole[name]
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]
