"""One container of a pod: a local process with its log, probes, restarts and back-off."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.bed.cluster.simulated.environment import environment
from tests.bed.cluster.simulated.objects import Obj, part, text
from tests.bed.cluster.simulated.probes import Probe
from tests.bed.cluster.simulated.recorder import Recorder
from tests.bed.cluster.simulated.store import Store
from tests.bed.process import Process

KUBELET = "kubelet"
EXIT_POLL_SECONDS = 0.05
KILLED_SECONDS = 5.0  # for the kernel, on a loaded machine
BACKOFF_STEPS = 5  # from the base to 32 times the base, the kubelet's 10 s to 300 s
CALM_FACTOR = 60  # a container that ran this many times the base starts over; 10 min for 10 s


@dataclass(frozen=True, slots=True)
class Node:
    """What the containers of the node share."""

    store: Store
    recorder: Recorder
    session: aiohttp.ClientSession
    images: dict[str, list[str]]
    """Image reference → command."""
    logs: Path
    backoff: float
    """Seconds of the first back-off of a crashing container; the kubelet's is 10."""


class Container:
    """Runs until cancelled, or until it ended and is not to be restarted."""

    def __init__(self, node: Node, pod: Obj, spec: Obj, address: str) -> None:
        self._node = node
        self._pod = pod
        self._address = address
        self._changed: Callable[[], None] = lambda: None
        self._process: Process | None = None
        self.spec = spec
        self.name = text(spec, "name")
        self.image = text(spec, "image")
        self.ready = False
        self.starts = 0
        self.finished = False
        """It ended and will not be restarted."""
        self.state: Obj = {"waiting": {"reason": "ContainerCreating"}}
        self.last_state: Obj = {}

    def log(self, *, previous: bool) -> str:
        """Return the output of the newest incarnation, or of the last one that has ended.

        In back-off both are the same, as on a real node: the newest one is the one that ended.
        """
        newest = self.starts - 1
        shown = newest - 1 if previous and "waiting" not in self.state else newest
        return self._log_path(shown).read_text(errors="replace")

    def _log_path(self, start: int) -> Path:
        metadata = part(self._pod, "metadata")
        folder = self._node.logs / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.name}.{start}.log"

    @property
    def started(self) -> bool:
        """True once it has run."""
        return self.starts > 0

    def status(self) -> Obj:
        """Return the containerStatus."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"simulated://{self.image}" if self.started else "",
            "containerID": f"simulated://{self._pid()}" if self._pid() else "",
            "ready": self.ready,
            "started": "running" in self.state,
            "restartCount": max(0, self.starts - 1),
            "state": self.state,
            "lastState": self.last_state,
        }

    def _pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    async def run(self, changed: Callable[[], None]) -> None:
        """Start, watch and restart; `changed` is called whenever the status differs."""
        self._changed = changed
        crashes = 0
        while True:
            await self._pull()
            begun = self._node.store.clock.monotonic()
            code = await self._incarnation()
            policy = text(self._pod, "spec", "restartPolicy")
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                self.finished = True
                self._changed()
                return
            if self._node.store.clock.monotonic() - begun > CALM_FACTOR * self._node.backoff:
                crashes = 0
            if crashes > 0:  # the first restart is immediate
                await self._back_off(min(crashes - 1, BACKOFF_STEPS))
            crashes += 1

    async def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; a container that does not run is fine.

        Nobody watches it any more, so its end is put into its state here.
        """
        process = self._process
        if process is None or process.exit_code is not None:
            return
        process.send(signal.SIGTERM)
        try:
            await process.wait(grace)
        except TimeoutError:
            pass  # it had its time
        finally:
            process.kill()
        self.ready, self.finished = False, True
        code = await process.wait(KILLED_SECONDS)
        self.state = self._terminated(code, text(self.state, "running", "startedAt"))

    def _terminated(self, code: int, begun: str) -> Obj:
        """Return the state after an end; a signal counts as the container runtime counts it."""
        ended: Obj = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Error" if code else "Completed",
            "startedAt": begun,
            "finishedAt": self._node.store.now(),
        }
        return {"terminated": ended}

    def _set(self, state: Obj) -> None:
        if "terminated" in self.state:
            self.last_state = self.state
        self.state = state
        self._changed()

    async def _pull(self) -> None:
        backoff = self._node.backoff
        while self.image not in self._node.images:
            why = f'failed to pull image "{self.image}": not found'
            self._event("warning", "Failed", why)
            self._set({"waiting": {"reason": "ErrImagePull", "message": why}})
            await asyncio.sleep(backoff)
            why = f'Back-off pulling image "{self.image}"'
            self._event("normal", "BackOff", why)
            self._set({"waiting": {"reason": "ImagePullBackOff", "message": why}})
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, self._node.backoff * 2**BACKOFF_STEPS)
        self._event(
            "normal", "Pulled", f'Container image "{self.image}" already present on machine'
        )

    async def _incarnation(self) -> int:
        """Run the process once; return its exit code as a container runtime counts it."""
        try:
            variables = environment(self._node.store, self._pod, self.spec, self._address)
        except LookupError as error:
            self._event("warning", "Failed", f"Error: {error}")
            why = {"reason": "CreateContainerConfigError", "message": str(error)}
            self._set({"waiting": why})
            await asyncio.sleep(self._node.backoff)
            return 1
        begun = self._node.store.now()
        arguments = self.spec.get("args")
        extra = [str(item) for item in arguments] if isinstance(arguments, list) else []
        self._process = await Process.start(
            [*self._node.images[self.image], *extra],
            env=variables,
            log=self._log_path(self.starts),
            name=self.name,
        )
        self.starts += 1
        self.ready = "readinessProbe" not in self.spec
        self._event("normal", "Started", f"Started container {self.name}")
        self._set({"running": {"startedAt": begun}})
        code = await self._until_exit(self._process)
        self.ready = False
        self._set(self._terminated(code, begun))
        return code if code >= 0 else 128 - code

    async def _until_exit(self, process: Process) -> int:
        probes = [
            asyncio.create_task(watch(process))
            for probe, watch in (
                ("readinessProbe", self._watch_readiness),
                ("livenessProbe", self._watch_liveness),
            )
            if probe in self.spec
        ]
        try:
            while (code := process.exit_code) is None:  # noqa: ASYNC110 - a child has no event
                await asyncio.sleep(EXIT_POLL_SECONDS)
        finally:
            for probe in probes:
                probe.cancel()
        process.kill()  # what the program left behind
        return code

    async def _back_off(self, step: int) -> None:
        delay = self._node.backoff * 2**step
        why = f"back-off {delay:g}s restarting failed container={self.name}"
        self._event("warning", "BackOff", f"Back-off restarting failed container {self.name}")
        self._set({"waiting": {"reason": "CrashLoopBackOff", "message": why}})
        await asyncio.sleep(delay)

    async def _watch_readiness(self, _: Process) -> None:
        probe = self._probe("readinessProbe")
        failures = 0
        await asyncio.sleep(probe.delay)
        while True:
            why = await probe.ask(self._node.session)
            failures = failures + 1 if why else 0
            if why:
                self._event("warning", "Unhealthy", f"Readiness probe failed: {why}")
            ready = not why or (self.ready and failures < probe.failures)
            if ready != self.ready:
                self.ready = ready
                self._changed()
            await asyncio.sleep(probe.period)

    async def _watch_liveness(self, process: Process) -> None:
        probe = self._probe("livenessProbe")
        failures = 0
        await asyncio.sleep(probe.delay)
        while failures < probe.failures:
            why = await probe.ask(self._node.session)
            failures = failures + 1 if why else 0
            if why:
                self._event("warning", "Unhealthy", f"Liveness probe failed: {why}")
            await asyncio.sleep(probe.period)
        why = f"Container {self.name} failed liveness probe, will be restarted"
        self._event("normal", "Killing", why)
        process.kill()

    def _probe(self, field: str) -> Probe:
        return Probe(part(self.spec, field), self.spec, self._address)

    def _event(self, kind: str, reason: str, message: str) -> None:
        record = self._node.recorder.warning if kind == "warning" else self._node.recorder.normal
        record(KUBELET, self._pod, reason, message)
