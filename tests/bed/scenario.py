"""What a scenario is: one module of `tests.bed.scenarios` with one constant SPEC."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from exporter.shared.errors import TransientError
from exporter.shared.plugins import discover
from tests.bed import scenarios, watch
from tests.bed.bed import PAUSE, Bed
from tests.bed.story import Story

Ending = Callable[[], Awaitable[bool]]
MOMENT = timedelta(seconds=30)


def _as_shipped(policy: str) -> str:
    return policy


@dataclass(frozen=True)
class Scenario:
    """Something that goes wrong, and how it must end."""

    name: str
    """The module's; people write it with hyphens."""
    help: str
    """One line for people who choose."""
    play: Callable[[Bed, Story], Awaitable[bool]]
    """Make it go wrong, watch, and say whether it ended as it should."""
    kpi: str = "error_ratio"
    """The KPI that suffers; it must be within its target before anything begins."""
    factor: float = 10.0
    """Default TIME_FACTOR."""
    policy: Callable[[str], str] = _as_shipped
    """What is different from the shipped policy, as a change of its text."""
    real: bool = False
    """True when only a real cluster can show it."""
    resources: Mapping[str, object] = field(default_factory=dict)
    """Requests and limits of the application's container, where they matter."""


def discovered() -> dict[str, Scenario]:
    """Return every scenario by name."""
    return {found.name.replace("_", "-"): found for found in discover(scenarios, Scenario).values()}


async def until(bed: Bed, story: Story, kpi: str, bound: timedelta, ended: Ending) -> bool:
    """Watch and tell until `ended`; False when `bound` is over first."""
    deadline = story.clock.monotonic() + bound.total_seconds()
    while story.clock.monotonic() < deadline:
        try:
            await story.look(bed, kpi)
            if await ended():
                return True
        except TransientError:
            pass  # nobody answers for a moment: one replica is gone, and the next not yet asked
        await story.clock.sleep(PAUSE)
    story.tell("late", f"not ended within {bound.total_seconds():g} s", style="red")
    return False


async def resolved(bed: Bed) -> bool:
    """Say whether there was an incident, and it is over."""
    incident = await watch.incident(bed)
    return incident is not None and incident["status"] != "open"


async def cured(bed: Bed, story: Story, kpi: str, bound: timedelta, image: str) -> bool:
    """Watch until the incident is over: then the KPI is well, and the Deployment runs `image`.

    A machine that is busy with other clusters may disturb the KPI for a moment.
    """
    if not await until(bed, story, kpi, bound, lambda: resolved(bed)):
        return False
    within = await until(bed, story, kpi, MOMENT, lambda: watch.within(bed, kpi))
    runs = await bed.image()
    story.tell("after", f"{kpi} within target: {within}; the Deployment runs {runs}")
    return within and runs == image
