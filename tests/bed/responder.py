"""The responder alone, on a simulated cluster with `task-manager:v3`; nothing scrapes or alerts."""

import re
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

from responder.domain.values import Json
from tests.bed import manifests
from tests.bed.bed import LocalProgram, deployed
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.simulated import SimulatedCluster
from tests.bed.databases import migrated
from tests.bed.postgres import Postgres
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

    async def write(self, statement: str, **values: object) -> None:
        """Put one row into the store that a crash or a bug would leave; `:name` is a value."""
        if self.places.store_dsn:
            names = list(values)
            numbered = re.sub(r":(\w+)", lambda name: f"${names.index(name[1]) + 1}", statement)
            connection = await asyncpg.connect(self.places.store_dsn, timeout=5)
            done = await connection.execute(numbered, *values.values())
            await connection.close()
            assert done.endswith(" 1")
            return
        path = self.places.root / "responder" / "responder.db"
        with closing(sqlite3.connect(path, timeout=10)) as file, file:
            assert file.execute(statement, values).rowcount == 1

    async def deployment(self) -> dict[str, object]:
        """Return the sample application's Deployment as the API server gives it."""
        return await deployed(self.cluster)

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
    postgres: Postgres | None = None,
) -> AsyncIterator[Alone]:
    """Start it with the shipped policies, or with others; durations are divided by `factor`.

    It keeps its state in files of its own, or in a database of its own on `postgres`.
    """
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
            store_dsn=await migrated(postgres) if postgres else "",
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
