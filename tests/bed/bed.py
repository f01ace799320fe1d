"""The whole bed: every real part, both programs, the shipped rules and policies, wired together."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import aiohttp

from tests.bed import manifests
from tests.bed.alertmanager import Alertmanager
from tests.bed.cluster.interface import Cluster, Faults
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.databases import migrated
from tests.bed.postgres import Postgres
from tests.bed.process import Process, free_port, wait_until
from tests.bed.prometheus import Prometheus, Scrape
from tests.bed.service import Service
from tests.bed.settings import Places, write_configuration
from tests.bed.sinks import HttpSink, SmtpSink

START_SECONDS = 60.0

PAUSE = timedelta(milliseconds=500)
"""Between two looks of whoever watches the bed."""


class Program(Protocol):
    """One of the two programs, which a test may kill and start again."""

    @property
    def url(self) -> str:
        """Where it listens."""
        ...

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        ...

    async def stop(self) -> None:
        """Stop it as a rolling update does; nothing happens when it is not running."""
        ...

    async def kill(self) -> None:
        """Kill it without a word, as the kernel does when memory runs out."""
        ...


@dataclass
class LocalProgram:
    """A program as a process of this machine."""

    name: str
    argv: list[str]
    url: str
    root: Path
    env: dict[str, str] = field(default_factory=dict)
    process: Process | None = None

    @property
    def log(self) -> Path:
        """Where its output is kept, of every start."""
        return self.root / f"{self.name}.log"

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self.process = await Process.start(self.argv, log=self.log, name=self.name, env=self.env)
        await wait_until(self._ready, START_SECONDS, f"{self.name} is ready at {self.url}")

    async def stop(self) -> None:
        """Stop it as a rolling update does; nothing happens when it is not running."""
        if self.process is not None:
            await self.process.stop()
            self.process = None

    async def kill(self) -> None:
        """Kill it without a word, as the kernel does when memory runs out."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait(START_SECONDS)
            self.process = None

    async def _ready(self) -> bool:
        if self.process is None or self.process.exit_code is not None:
            raise RuntimeError(f"{self.name} ended:\n{self.process and self.process.tail()}")
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as got:
                return got.ok
        except aiohttp.ClientError:
            return False


@dataclass
class Fleet:
    """Several responders on one database, behind one address."""

    replicas: list[LocalProgram]
    service: Service
    store: Postgres


@dataclass
class Bed:
    """Everything that runs, with its addresses."""

    root: Path
    factor: float
    places: Places
    postgres: Postgres
    cluster: Cluster
    pager: HttpSink
    mail: SmtpSink
    prometheus: Prometheus
    alertmanager: Alertmanager
    exporter: Program
    responder: Program
    fleet: "Fleet | None" = None
    """Where there are several responders; `responder` is then the first of them."""

    @property
    def api(self) -> str:
        """Return where the responder is called, whichever replica answers."""
        if self.fleet is None:
            return self.responder.url
        return f"http://{self.places.responder_host}:{self.places.responder_port}"

    @property
    def faults(self) -> Faults:
        """Faults of the API server; raises TypeError where it is a real one."""
        if not isinstance(self.cluster, SimulatedCluster):
            raise TypeError("a real API server does not fail on demand")
        return self.cluster.faults

    async def deploy(self, tag: str) -> None:
        """Release `task-manager:<tag>` as `kubectl set image` would."""
        await self.cluster.image(f"{manifests.NAME}:{tag}")
        await self.cluster.apply(manifests.release(tag))

    async def deployment(self) -> dict[str, object]:
        """Return the Deployment as the API server gives it."""
        return await deployed(self.cluster)

    async def rolled_out(self) -> bool:
        """Say whether every pod runs the newest template and is available."""
        found = await self.deployment()
        status, spec, meta = found.get("status"), found["spec"], found["metadata"]
        if not isinstance(status, dict) or not isinstance(spec, dict) or not isinstance(meta, dict):
            return False
        wanted = spec.get("replicas", 1)
        counts = [status.get(f"{name}eplicas") for name in ("r", "updatedR", "availableR")]
        return status.get("observedGeneration") == meta["generation"] and counts == [wanted] * 3

    async def image(self) -> str:
        """Return the image that the Deployment wants."""
        found = await self.deployment()
        spec = found["spec"]
        if not isinstance(spec, dict):
            raise TypeError("a Deployment has a spec")
        return str(spec["template"]["spec"]["containers"][0]["image"])


@asynccontextmanager
async def start(  # noqa: PLR0913 - as many as a bed has sides; all but the folder by name
    root: Path,
    *,
    factor: float = 10.0,
    replicas: int = 3,
    policies: Path | None = None,
    responder_argv: list[str] | None = None,
    responders: int = 1,
    lease: timedelta | None = None,
) -> AsyncIterator[Bed]:
    """Start every part with durations divided by `factor`, and deploy `task-manager:v3`.

    `policies` replaces the shipped ones. Several `responders` keep their state on a PostgreSQL of
    their own, and may be silent for the default `lease` or for another. Everything stops when the
    context ends, and when the owner is killed.
    """
    async with AsyncExitStack() as stack:
        preload = {"shared_preload_libraries": "pg_stat_statements"}
        postgres = await stack.enter_async_context(Postgres.start(root, preload))
        await postgres.execute("CREATE EXTENSION pg_stat_statements")
        dsn = await postgres.create_database("taskmanager")
        cluster = await stack.enter_async_context(SimulatedCluster.start(root / "cluster"))
        pager = await stack.enter_async_context(HttpSink.start())
        mail = await stack.enter_async_context(SmtpSink.start())
        await cluster.image(f"{manifests.NAME}:v3")
        await cluster.apply(manifests.service())
        await cluster.apply(
            manifests.deployment("v3", replicas=replicas, env={"DATABASE_URL": dsn})
        )
        places = Places(
            root=root,
            kubeconfig=cluster.kubeconfig,
            exporter_port=free_port(),
            responder_port=free_port(),
            probe_url=await _service_url(cluster),
            postgres_dsn=postgres.dsn("postgres"),
            pager_url=pager.url,
            mail_port=mail.port,
        )
        places.store_lease = lease or places.store_lease
        fleet = await stack.enter_async_context(_fleet(places, responders))
        files = write_configuration(places, factor=factor, policies=policies)
        alertmanager = await stack.enter_async_context(Alertmanager.start(root, files.alertmanager))
        prometheus = await stack.enter_async_context(
            Prometheus.start(
                root,
                scrapes=[
                    Scrape(
                        "kpi-exporter",
                        f"127.0.0.1:{places.exporter_port}",
                        # What service discovery attaches for the exporter's own pod: a rule that
                        # kept these would aim alerts at the exporter.
                        labels={"namespace": "monitoring", "pod": "kpi-exporter-0"},
                    ),
                    Scrape("alert-responder", f"127.0.0.1:{places.responder_port}"),
                ],
                rules=files.rules,
                alertmanagers=[alertmanager.url],
                scrape_interval=files.scrape_interval,
                evaluation_interval=files.scrape_interval,
            )
        )
        places.set_prometheus(prometheus.url)
        places.alertmanager_url = alertmanager.url
        files = write_configuration(places, factor=factor, policies=policies)
        exporter = LocalProgram(
            "kpi-exporter",
            [sys.executable, "-m", "exporter", "serve", "--config", str(files.exporter)],
            f"http://127.0.0.1:{places.exporter_port}",
            root,
        )
        argv = [*(responder_argv or [sys.executable, "-m", "responder"]), "serve", "--config"]
        replicas_of_it = fleet.replicas if fleet else [_responder(places, places.responder_port)]
        for program in replicas_of_it:
            program.argv = [*argv, str(files.responder)]
        for program in (exporter, *replicas_of_it):
            stack.push_async_callback(program.stop)
            await program.start()
        bed = Bed(
            root,
            factor,
            places,
            postgres,
            cluster,
            pager,
            mail,
            prometheus,
            alertmanager,
            exporter,
            replicas_of_it[0],
            fleet,
        )
        await wait_until(bed.rolled_out, START_SECONDS, "task-manager v3 is rolled out")
        yield bed


def _responder(places: Places, port: int, number: int = 0) -> LocalProgram:
    """Return a responder that is still to be told its command."""
    name = f"alert-responder-{number}" if number else "alert-responder"
    env = {"RESPONDER__LISTEN__PORT": str(port)}
    return LocalProgram(name, [], f"http://{places.responder_host}:{port}", places.root, env)


@asynccontextmanager
async def _fleet(places: Places, responders: int) -> AsyncIterator[Fleet | None]:
    """Start what several responders need beside themselves, and have them use it."""
    if responders == 1:
        yield None
        return
    replicas = [_responder(places, free_port(), number) for number in range(1, responders + 1)]
    # A crash of this server must lose nothing that was committed.
    durable = {"synchronous_commit": "on"}
    async with (
        Postgres.start(places.root / "store", durable) as store,
        Service.start(places.responder_port, [one.url for one in replicas]) as service,
    ):
        places.store_dsn = await migrated(store)
        yield Fleet(replicas, service, store)


async def deployed(cluster: Cluster) -> dict[str, object]:
    """Return the sample application's Deployment. Raises LookupError where there is none."""
    found = await cluster.get("Deployment", manifests.NAMESPACE, manifests.NAME)
    if found is None:
        raise LookupError("the bed has no Deployment task-manager")
    return found


async def _service_url(cluster: Cluster) -> str:
    found = await cluster.get("Service", manifests.NAMESPACE, manifests.NAME)
    spec = (found or {}).get("spec")
    if not isinstance(spec, dict):
        raise TypeError("the bed's Service task-manager has no spec")
    return f"http://{spec['clusterIP']}:{manifests.PORT}"
