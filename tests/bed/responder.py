"""The responder alone, on a simulated cluster with `task-manager:v3`; nothing scrapes or alerts."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from responder.domain.values import Json
from tests.bed import manifests
from tests.bed.bed import LocalProgram
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.process import free_port
from tests.bed.settings import Files, Places, write_configuration
from tests.bed.sinks import HttpSink, SmtpSink


@dataclass
class Alone:
    """What runs."""

    places: Places
    files: Files
    cluster: Cluster
    pager: HttpSink
    responder: LocalProgram

    async def call(
        self, method: str, path: str, *, who: str = "", body: Json = None
    ) -> tuple[int, Json]:
        """Call the API with the token of `who`; return the status and what was answered."""
        headers = {"Authorization": f"Bearer {self.places.token(who)}"} if who else {}
        async with (
            aiohttp.ClientSession(self.responder.url, headers=headers) as session,
            session.request(method, path, json=body) as answer,
        ):
            as_json = answer.content_type == "application/json"
            return answer.status, await answer.json() if as_json else await answer.text()


@asynccontextmanager
async def start(
    root: Path,
    *,
    policies: Path | None = None,
    factor: float = 10.0,
    prometheus: str = "http://127.0.0.1:1",
    program: Sequence[str] = (sys.executable, "-m", "responder"),
) -> AsyncIterator[Alone]:
    """Start it with the shipped policies, or with others; durations are divided by `factor`."""
    async with (
        SimulatedCluster.start(root / "cluster") as cluster,
        HttpSink.start() as pager,
        SmtpSink.start() as mail,
    ):
        await cluster.image(f"{manifests.NAME}:v3")
        await cluster.apply(manifests.deployment("v3", replicas=1, env={"DATABASE_URL": ""}))
        places = Places(
            root=root,
            kubeconfig=cluster.kubeconfig,
            exporter_port=free_port(),
            responder_port=free_port(),
            probe_url="http://127.0.0.1:1",
            postgres_dsn="postgresql://127.0.0.1:1/none",
            pager_url=pager.url,
            mail_port=mail.port,
            prometheus_url=prometheus,
        )
        files = write_configuration(places, factor=factor, policies=policies)
        argv = [*program, "serve", "--config", str(files.responder)]
        url = f"http://127.0.0.1:{places.responder_port}"
        responder = LocalProgram("alert-responder", argv, url, root)
        await responder.start()
        try:
            yield Alone(places, files, cluster, pager, responder)
        finally:
            await responder.stop()
