"""A one-node Kubernetes with real pods: its control plane, its node, and its end."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp

from tests.bed.cluster.client import at, items
from tests.bed.cluster.interface import RequestSeen
from tests.bed.cluster.kubectl import Kubectl
from tests.bed.cluster.real import images, keys, machine, names, parts, programs, sandbox
from tests.bed.cluster.real.parts import Places
from tests.bed.cluster.real.sandbox import Sandbox
from tests.bed.cluster.rest import AGENT, Rest, path_of
from tests.bed.process import BedError, Process, run_tool, wait_until

READY_SECONDS = 60.0
"""How long a loaded machine may take for each step; alone, the whole takes four seconds."""
ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What runs beside the cluster."""

    metrics: bool = False
    """metrics.k8s.io, by metrics-server."""
    kwok: bool = False
    """Pretended nodes and pods, by kwok: nodes with the annotation `parts.KWOK_MARK`."""


class RealCluster:
    """A cluster in namespaces of its own; root, Linux and the built programs are needed."""

    def __init__(self, root: Path, box: Sandbox, places: Places, rest: Rest) -> None:
        self.kubeconfig = root / "kubeconfig"
        self.kubeconfigs = {user: root / f"{user}.kubeconfig" for user in keys.USERS}
        """User → kubeconfig; `responder` and `exporter` have no rights until a test binds some."""
        self.places = places
        self.kubectl = Kubectl(places.programs / "kubectl", self.kubeconfig)
        self._root = root
        self._box = box
        self._rest = rest
        self._imported: set[Path] = set()

    @classmethod
    @asynccontextmanager
    async def start(cls, root: Path, wanted: Wanted = Wanted()) -> AsyncIterator[Self]:
        """Run a cluster with its kubeconfigs and logs in `root`.

        It ends with the context or with its owner. Raises BedError when something is missing.
        """
        machine.require()
        binaries = programs.built()
        logs = root / "log"
        logs.mkdir(parents=True, exist_ok=True)
        async with sandbox.enter(binaries / "pause", logs / "namespaces.log") as box:
            folder = box.home / "keys"
            made = keys.make(folder, box.network, parts.API_PORT)
            places = Places(binaries, box.home, logs, box.network, made, box.network.bed)
            made.write_kubeconfig(places.kubeconfig, keys.PARTS)
            for user in keys.USERS:
                made.write_kubeconfig(root / f"{user}.kubeconfig", user)
            made.write_kubeconfig(root / "kubeconfig", "admin")
            async with _session(places) as session:
                cluster = cls(root, box, places, Rest(session))
                async with names.serve(box.network.host, cluster.service):
                    await cluster._start(wanted)
                    yield cluster

    async def apply(self, manifest: Mapping[str, object]) -> None:
        """Create the object, or merge `manifest` into it."""
        await self._rest.apply(manifest)

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        """Ask for the end of the object and of what it owns; a missing one is fine."""
        await self._rest.send("DELETE", path_of(kind, namespace, name), absent_is_fine=True)

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, object] | None:
        """Return the object as JSON, or None when there is none."""
        return await self._rest.send("GET", path_of(kind, namespace, name), absent_is_fine=True)

    async def service(self, namespace: str, name: str) -> str | None:
        """Return the address of a Service; None when there is none, or it has none."""
        found = at(await self.get("Service", namespace, name), "spec.clusterIP")
        return str(found) if found not in {None, "None"} else None

    async def compact(self) -> None:
        """Make each resourceVersion older than the present too old for a watch or a next page.

        etcd forgets them, and so does the API server, by a new start: open watches break.
        """
        async with aiohttp.ClientSession(
            "http://etcd", connector=aiohttp.UnixConnector(str(self.places.etcd))
        ) as session:
            async with session.post("/v3/kv/range", json={"key": "AA=="}) as answer:
                revision = str(at(await answer.json(), "header.revision"))
            order = {"revision": revision, "physical": True}
            async with session.post("/v3/kv/compaction", json=order) as answer:
                answer.raise_for_status()
        await self._api_server.stop()
        await wait_until(self._port_is_free, READY_SECONDS, "the API server has ended")
        await self._start_api_server()

    def requests(self) -> list[RequestSeen]:
        """Return what clients asked of the API server so far, from its audit log."""
        lines = self.places.audit_log.read_text().splitlines()
        events = [json.loads(line) for line in lines]
        return [
            RequestSeen(
                event["verb"], event["requestURI"].partition("?")[0], event.get("userAgent", "")
            )
            for event in events
            if event["stage"] == "RequestReceived" and event.get("userAgent") != AGENT
        ]

    async def image(self, reference: str) -> None:
        """Make `name:tag` runnable. Raises ValueError when it is not one of the bed's programs."""
        name, _, tag = reference.partition(":")
        if tag not in images.TAGS.get(name, ()):
            raise ValueError(f"{reference!r} is not one of {images.TAGS}")
        await self.load(await asyncio.to_thread(images.program, name))

    async def load(self, archive: Path) -> None:
        """Make the images of an OCI archive runnable on the node; once is enough."""
        if archive not in self._imported:
            command = self.places.ctr("images", "import", archive)
            done = await asyncio.to_thread(run_tool, *command)
            if done.returncode != 0:
                raise BedError(f"{archive} cannot be imported: {done.stderr.strip()}")
            self._imported.add(archive)

    async def _start(self, wanted: Wanted) -> None:
        at_ = self.places
        await self._run(parts.etcd(at_), "etcd")
        await self._run(parts.containerd(at_), "containerd")
        await self._start_api_server()
        archive = await asyncio.to_thread(images.pause, at_.programs)
        await wait_until(self._containerd_answers, READY_SECONDS, "containerd answers")
        await self.load(archive)
        for name, argv in (
            ("kubelet", parts.kubelet(at_)),
            ("kube-controller-manager", parts.controller_manager(at_)),
            ("kube-scheduler", parts.scheduler(at_)),
            ("kube-proxy", parts.proxy(at_)),
        ):
            await self._run(argv, name)
        if wanted.kwok:
            await self._run(parts.kwok(at_), "kwok")
        if wanted.metrics:
            await self._run(parts.metrics_server(at_), "metrics-server")
            for path, manifest in parts.metrics_objects(at_).items():
                await self._rest.send("POST", path, manifest)
        await wait_until(self._node_is_ready, READY_SECONDS, "the node is ready")

    async def _start_api_server(self) -> None:
        self._api_server = await self._run(parts.api_server(self.places), "kube-apiserver")
        await wait_until(self._api_is_ready, READY_SECONDS, "the API server is ready")

    async def _run(self, argv: Sequence[str], name: str) -> Process:
        log = self.places.logs / f"{name}.log"
        return await self._box.run(argv, log=log, programs=self.places.programs)

    async def _containerd_answers(self) -> bool:
        done = await asyncio.to_thread(run_tool, *self.places.ctr("version"))
        return done.returncode == 0

    async def _api_is_ready(self) -> bool:
        try:
            async with self._rest.session.get("/readyz") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def _port_is_free(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self.places.network.node, parts.API_PORT)
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            return False  # it ends at this moment
        writer.close()
        return False

    async def _node_is_ready(self) -> bool:
        """Say whether pods can be made: the node is ready and the default account is there."""
        self._box.check()
        node = await self.get("Node", "", keys.NODE)
        states = {c["type"]: c["status"] for c in items(node, "status.conditions")}
        account = await self.get("ServiceAccount", "default", "default")
        return states.get("Ready") == "True" and at(account, "metadata.uid") is not None


@asynccontextmanager
async def _session(places: Places) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield the bed's own session with the API server."""
    authority = ssl.create_default_context(cafile=places.keys.authority)
    headers = {"User-Agent": AGENT, "Authorization": f"Bearer {places.keys.tokens['admin']}"}
    async with aiohttp.ClientSession(
        places.keys.server, headers=headers, connector=aiohttp.TCPConnector(ssl=authority)
    ) as session:
        yield session
