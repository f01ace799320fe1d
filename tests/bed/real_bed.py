"""The whole bed on a real cluster: the application's and the product's pods, all else beside it.

PostgreSQL, Prometheus, Alertmanager and the sinks are processes of this machine, where pods reach
them by the address that the cluster's network gives it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bed import manifests, release
from tests.bed.alertmanager import Alertmanager
from tests.bed.bed import Bed
from tests.bed.cluster.real import RealCluster, images
from tests.bed.cluster.real.images import Image
from tests.bed.cluster.real.network import NETWORK
from tests.bed.cluster.rest import path_of
from tests.bed.postgres import Guests, Postgres
from tests.bed.process import wait_until
from tests.bed.prometheus import Prometheus
from tests.bed.release import EXPORTER, EXPORTER_PORT, RESPONDER, RESPONDER_PORT, Helm, PodProgram
from tests.bed.settings import Places, write_configuration
from tests.bed.sinks import HttpSink, SmtpSink

START_SECONDS = 90.0
TAG = "v3"
ROOM = {"requests": {"cpu": "200m"}}
"""For the application: a pod that asks for nothing gets next to nothing of a busy machine, and then
its latency tells of all that starts beside it."""


@dataclass(frozen=True)
class Ground:
    """A cluster that has the images, on which one bed after the other stands."""

    cluster: RealCluster
    product: Image

    @property
    def host(self) -> str:
        """This machine, as pods see it."""
        return self.cluster.places.network.host


async def prepare(cluster: RealCluster) -> Ground:
    """Bring the images onto the cluster."""
    product = await asyncio.to_thread(images.product)
    await cluster.load(product.archive)
    await cluster.image(f"{manifests.NAME}:{TAG}")
    return Ground(cluster, product)


@asynccontextmanager
async def start(  # noqa: PLR0913 - a bed has that many sides; all but its place by name
    ground: Ground,
    root: Path,
    *,
    factor: float = 10.0,
    replicas: int = 3,
    policies: Path | None = None,
    resources: Mapping[str, object] | None = None,
    responders: int = 1,
) -> AsyncIterator[Bed]:
    """Install the product, deploy the application, and start what both need, all of it fresh.

    `resources` are requests and limits of the application's container, `ROOM` by default. Several
    `responders` keep their state on a PostgreSQL of their own, empty until the chart's hook has
    migrated it. Everything is as `tests.bed.bed.start` has it otherwise; the cluster is empty
    again when the context ends.
    """
    cluster, host = ground.cluster, ground.host
    async with AsyncExitStack() as stack:
        preload = {"shared_preload_libraries": "pg_stat_statements"}
        guests = Guests(str(NETWORK), host)
        postgres = await stack.enter_async_context(Postgres.start(root, preload, guests))
        await postgres.execute("CREATE EXTENSION pg_stat_statements")
        dsn = await postgres.create_database("taskmanager")
        store = await stack.enter_async_context(_store(root, guests, responders))
        pager = await stack.enter_async_context(HttpSink.start(host=host))
        mail = await stack.enter_async_context(SmtpSink.start(host=host))
        helm = Helm(cluster, root / "helm")
        stack.push_async_callback(_clear, cluster, helm)
        backend = await _deploy(cluster, dsn, replicas, resources or ROOM)
        places = Places(
            root=root,
            kubeconfig=cluster.kubeconfig,
            exporter_port=EXPORTER_PORT,
            responder_port=RESPONDER_PORT,
            probe_url=backend,
            postgres_dsn=postgres.dsn("postgres"),
            pager_url=pager.url,
            mail_port=mail.port,
            mail_host=mail.host,
            store_dsn=store,
        )
        files = write_configuration(places, factor=factor, policies=policies)
        alertmanager = Alertmanager.start(root, files.alertmanager)
        prometheus = await stack.enter_async_context(
            Prometheus.start(
                root,
                rules=files.rules,
                alertmanagers=[alertmanager.url],
                scrape_interval=files.scrape_interval,
                evaluation_interval=files.scrape_interval,
                discover=[release.scraped(root / "targets.json")],
                host=host,
            )
        )
        places.set_prometheus(prometheus.url)
        files = write_configuration(places, factor=factor, policies=policies)
        await release.prepare(cluster, places)
        values = release.write_values(root / "values.yaml", files, ground.product, responders)
        await helm.install(values)
        places.responder_host = await release.address(cluster, release.NAMESPACE, RESPONDER)
        write_configuration(places, factor=factor, policies=policies)
        await stack.enter_async_context(alertmanager)
        exporter = await release.address(cluster, release.NAMESPACE, EXPORTER)
        release.write_targets(
            root / "targets.json",
            f"{exporter}:{EXPORTER_PORT}",
            f"{places.responder_host}:{RESPONDER_PORT}",
        )
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
            PodProgram(EXPORTER, f"http://{exporter}:{EXPORTER_PORT}", cluster),
            PodProgram(RESPONDER, f"http://{places.responder_host}:{RESPONDER_PORT}", cluster),
        )
        await wait_until(bed.rolled_out, START_SECONDS, "task-manager v3 is rolled out")
        yield bed


@asynccontextmanager
async def _store(root: Path, guests: Guests, responders: int) -> AsyncIterator[str]:
    """Have an empty database that several responders share; the address of none for one."""
    if responders == 1:
        yield ""
        return
    # A crash of this server must lose nothing that was committed.
    async with Postgres.start(root / "store", {"synchronous_commit": "on"}, guests) as server:
        yield await server.create_database("runbookd")


async def _deploy(
    cluster: RealCluster, dsn: str, replicas: int, resources: Mapping[str, object]
) -> str:
    """Deploy the application and its page; return the application's URL."""
    await cluster.apply(manifests.service())
    where = await release.address(cluster, manifests.NAMESPACE, manifests.NAME)
    backend = f"http://{where}:{manifests.PORT}"
    env = {"DATABASE_URL": dsn}
    for each in (
        manifests.deployment(TAG, replicas=replicas, env=env, resources=resources),
        *manifests.frontend(TAG, backend, ROOM),
    ):
        await cluster.apply(each)
    return backend


async def _clear(cluster: RealCluster, helm: Helm) -> None:
    """Remove the release and the application, and what the next scenario should not see of them."""
    await asyncio.gather(release.remove(cluster, helm), _remove_application(cluster))


async def _remove_application(cluster: RealCluster) -> None:
    async def delete(*what: str) -> None:
        where = f"--namespace={manifests.NAMESPACE}"
        await asyncio.to_thread(cluster.kubectl, "delete", *what, where)

    async def empty(path: str) -> None:
        """Delete a whole collection at once: kubectl takes a second for five Events."""
        await asyncio.to_thread(cluster.kubectl, "delete", "--raw", path)

    mine = ("-l", f"app in ({manifests.NAME},{manifests.FRONTEND})")
    pretended = ("-l", f"app={manifests.PRETENDED}")
    await delete("deployment", *pretended)
    await delete("deployment,service", *mine, "--cascade=foreground", "--wait=false")
    await delete("pod", *mine, "--grace-period=1")
    await delete("pod", *pretended, "--grace-period=0", "--force")  # nobody plays their node
    await delete("node", *pretended)
    await delete("deployment,replicaset", *mine)  # waits for what is on its way
    await empty(path_of("HorizontalPodAutoscaler", manifests.NAMESPACE))
    await empty(path_of("Event", manifests.NAMESPACE))
