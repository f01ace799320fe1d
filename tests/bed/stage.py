"""Scenarios on real clusters, several at a time: most of what they do is wait."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from exporter.shared.clock import SystemClock
from tests.bed import real_bed, rights, watch
from tests.bed.cluster.real import RealCluster, Wanted
from tests.bed.load import Load
from tests.bed.real_bed import Ground
from tests.bed.rights import Right
from tests.bed.scenario import discovered
from tests.bed.settings import write_policies
from tests.bed.story import Story

RATE = 40.0
"""Requests a second; a verification window still sees min_requests."""
FACTOR = 20.0
"""What durations are divided by at least, to have the whole within minutes."""


@dataclass(frozen=True)
class Played:
    """How a scenario went."""

    ended_well: bool
    factor: float
    story: Story


@dataclass
class Stage:
    """Clusters, the scenarios that are played on them, and what they used of the Roles."""

    root: Path
    grounds: list[Ground] = field(default_factory=list)
    granted: set[Right] = field(default_factory=set)
    """What any release gave to the product's accounts."""
    plays: dict[str, asyncio.Task[Played]] = field(default_factory=dict)
    _free: asyncio.Queue[Ground] = field(default_factory=asyncio.Queue)

    @classmethod
    @asynccontextmanager
    async def open(cls, root: Path, names: Iterable[str]) -> AsyncIterator[Self]:
        """Begin to play, one scenario at a time, and one more with each cluster that joins.

        They begin in the order of `names`. What is under way at the end is cancelled. Raises
        BedError when there can be no cluster.
        """
        stage = cls(root)
        async with AsyncExitStack() as stack:
            stage.plays = {name: asyncio.create_task(stage._play(name)) for name in names}
            try:
                if stage.plays:
                    stage.join(await stack.enter_async_context(stage.another("stage")))
                yield stage
            finally:
                for play in stage.plays.values():
                    play.cancel()
                await asyncio.gather(*stage.plays.values(), return_exceptions=True)

    @asynccontextmanager
    async def another(self, name: str) -> AsyncIterator[Ground]:
        """Start a cluster with metrics-server, kwok and the images."""
        wanted = Wanted(metrics=True, kwok=True)
        async with RealCluster.start(self.root / f"cluster-{name}", wanted) as cluster:
            ground = await real_bed.prepare(cluster)
            self.grounds.append(ground)
            yield ground

    def join(self, ground: Ground) -> None:
        """Play on a cluster that nobody else uses from now on."""
        self._free.put_nowait(ground)

    def used(self) -> dict[Right, set[int]]:
        """Return what the product asked of the clusters, with the statuses of the answers."""
        found: dict[Right, set[int]] = {}
        every = (rights.used(each.cluster, but_by=rights.BORROWER) for each in self.grounds)
        for right, codes in itertools.chain.from_iterable(each.items() for each in every):
            found.setdefault(right, set()).update(codes)
        return found

    async def _play(self, name: str) -> Played:
        ground = await self._free.get()
        try:
            return await self._played(name, ground)
        finally:
            self._free.put_nowait(ground)

    async def _played(self, name: str, ground: Ground) -> Played:
        scenario = discovered()[name]
        factor = scenario.factor if scenario.real else max(scenario.factor, FACTOR)
        story = Story(SystemClock(), label=name)
        root = self.root / name
        root.mkdir()
        async with real_bed.start(
            ground,
            root,
            factor=factor,
            policies=write_policies(root, scenario.policy),
            resources=scenario.resources,
        ) as bed:
            self.granted |= await asyncio.to_thread(rights.granted, ground.cluster)
            urls = [f"{bed.places.probe_url}/tasks"]
            async with Load.start(lambda: urls, rate=RATE):
                await watch.until_healthy(bed, scenario.kpi)
                return Played(await scenario.play(bed, story), factor, story)
