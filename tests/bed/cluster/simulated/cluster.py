"""Starts the simulated cluster as a child and speaks to it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Self

import aiohttp

from tests.bed.cluster.interface import Fault, RequestSeen
from tests.bed.cluster.rest import AGENT, Rest, path_of
from tests.bed.cluster.simulated.faults import read_audit
from tests.bed.process import Process

PROGRAMS = {
    "task-manager": ("tests.bed.task_manager",),
    "task-manager-frontend": ("tests.bed.task_manager", "--frontend"),
    "probe-app": ("tests.bed.cluster.probe_app",),
}
"""Image name → the module that is its program, and its arguments; it takes the tag as `--tag`."""
REPOSITORY = Path(__file__).parents[4]


class SimulatedFaults:
    """Faults, armed through the API server's side door."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    async def add(self, fault: Fault) -> None:
        """Arm `fault` for requests that arrive from now on."""
        await self._rest.send("POST", "/_faults", asdict(fault))

    async def clear(self) -> None:
        """Disarm all faults."""
        await self._rest.send("DELETE", "/_faults")


class SimulatedCluster:
    """A cluster in one process; its pods are processes too. No root, no images."""

    def __init__(self, root: Path, rest: Rest) -> None:
        self.kubeconfig = root / "kubeconfig"
        self.faults = SimulatedFaults(rest)
        self._root = root
        self._rest = rest

    @classmethod
    @asynccontextmanager
    async def start(
        cls, root: Path, env: Mapping[str, str] | None = None, *, backoff: float = 1.0
    ) -> AsyncIterator[Self]:
        """Run a cluster with its files in `root`; it ends with the context or with its owner.

        `env` reaches every pod. `backoff` is the first wait, in seconds, of a container that
        crashed twice (the kubelet's is 10).
        """
        kubeconfig = _fresh(root)

        async def listens() -> bool:
            return await asyncio.to_thread(kubeconfig.exists)

        process = await Process.start(
            [sys.executable, "-m", "tests.bed.cluster.simulated", root, "--backoff", str(backoff)],
            log=root / "cluster.log",
            name="simulated cluster",
            env=env,
            cwd=REPOSITORY,
            ready=listens,
        )
        async with process:
            server = json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
            async with aiohttp.ClientSession(server, headers={"User-Agent": AGENT}) as session:
                yield cls(root, Rest(session))

    async def image(self, reference: str) -> None:
        """Make `name:tag` runnable. Raises ValueError when it is not one of the bed's programs."""
        name, _, tag = reference.partition(":")
        if name not in PROGRAMS or not tag:
            raise ValueError(f"{reference!r} is not NAME:TAG with a NAME of {sorted(PROGRAMS)}")
        argv = [sys.executable, "-m", *PROGRAMS[name], "--tag", tag]
        await self._rest.send("POST", "/_images", {"reference": reference, "argv": argv})

    async def apply(self, manifest: Mapping[str, object]) -> None:
        """Create the object, or merge `manifest` into it."""
        await self._rest.apply(manifest)

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Ask for the end of the object and of what it owns; a missing one is fine."""
        await self._rest.send("DELETE", path_of(kind, namespace, name), absent_is_fine=True)

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, object] | None:
        """Return the object as JSON, or None when there is none."""
        return await self._rest.send("GET", path_of(kind, namespace, name), absent_is_fine=True)

    async def compact(self) -> None:
        """Make each resourceVersion older than the present too old for a watch or a next page."""
        await self._rest.send("POST", "/_compact")

    def requests(self) -> list[RequestSeen]:
        """Return what clients asked of the API server so far."""
        return read_audit(self._root / "audit.jsonl")


def _fresh(root: Path) -> Path:
    """Return the place of the kubeconfig; its being there will mean that the server listens."""
    root.mkdir(parents=True, exist_ok=True)
    kubeconfig = root / "kubeconfig"
    kubeconfig.unlink(missing_ok=True)
    return kubeconfig
