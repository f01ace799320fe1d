"""Every expression of the shipped dashboards, asked of the Prometheus that watches the bed."""

import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
import yaml

from exporter.shared.clock import SystemClock
from tests.bed import aws_account, watch
from tests.bed import bed as beds
from tests.bed.aws import ENVIRONMENT, Aws
from tests.bed.cluster.client import Client
from tests.bed.dashboard_answers import answers, measured
from tests.bed.load import Load
from tests.bed.pgbouncer import Pgbouncer
from tests.bed.scenarios import bad_release
from tests.bed.service import cancel_on_exit
from tests.bed.settings import HOME
from tests.bed.story import Story

pytestmark = pytest.mark.timeout(300)

DATABASE = "taskmanager"
MERGE = "application/merge-patch+json"
RECORDED = HOME / "tests" / "data" / "kubernetes"
KEPT = {
    "autoscalers": "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
    "disruption_budgets": "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
    "claims": "/api/v1/namespaces/default/persistentvolumeclaims",
}
"""Objects that the simulated cluster keeps and nobody obeys; their recordings have a status."""
QUIET: Mapping[str, str] = {
    "kpi_node_condition": "no kubelet tells of the simulated node",
    "kpi_saturation_ratio": "the sample application tells of no pools",
    "kpi_pod_container_waiting_reason": "no container waits",
    "kpi_pod_container_last_terminated_reason": "no container has ended",
    "kpi_probe_failure_reason": "every probe succeeds",
    "kpi_pgbouncer_part_absent": "pgbouncer refuses nothing",
    "kpi_postgres_part_absent": "the database refuses nothing",
    "kpi_postgres_replica_lag_seconds": "the database has no replica",
    "kpi_postgres_standby_lag_seconds": "the database is none",
    "kpi_postgres_replication_slot_retained_bytes": "nobody follows its log",
    "kpi_cloudwatch_query_failed_reason": "CloudWatch answers",
    "kpi_aws_cost_month_to_date": "on the first of a month none of its days is over",
    "responder_audit_findings_total": "nothing is stuck",
}


async def keep_recorded_objects(kubeconfig: Path) -> None:
    """Put autoscalers, a budget and claims into the cluster, with the status they had."""
    async with Client.connect(kubeconfig) as api:
        for name, path in KEPT.items():
            for recorded in json.loads((RECORDED / f"{name}.json").read_text()):
                called = {"name": recorded["metadata"]["name"]}
                await api.send("POST", path, {"metadata": called, "spec": recorded["spec"]})
                place = f"{path}/{called['name']}/status"
                status = {"status": recorded["status"]}
                done = await api.send("PATCH", place, status, content_type=MERGE)
                assert done.status == 200, done


@asynccontextmanager
async def seeing_everything(
    bed: beds.Bed, account: Awaitable[Mapping[str, object]]
) -> AsyncIterator[None]:
    """Let the exporter look at AWS, the pool and the application's tables too; use the pool.

    `account` are the settings of the collector `aws`.
    """
    await bed.postgres.execute("CREATE EXTENSION pg_stat_statements", DATABASE)
    await bed.postgres.execute("INSERT INTO tasks (title) VALUES ('kept'), ('gone')", DATABASE)
    await bed.postgres.execute("DELETE FROM tasks WHERE title = 'gone'", DATABASE)
    assert isinstance(bed.exporter, beds.LocalProgram)
    bed.exporter.env |= ENVIRONMENT
    async with Pgbouncer.start(bed.root, bed.postgres) as pool:
        file = bed.root / "config" / "exporter.yaml"
        document = yaml.safe_load(file.read_text())
        asks = document["collectors"]
        databases = [{"name": DATABASE, "dsn": bed.postgres.dsn(DATABASE)}]
        asks["postgres"]["databases"] = databases
        asks["sql_kpi"] |= {"enabled": True, "databases": databases}
        poolers = [{"name": "main", "dsn": pool.console}]
        asks["pgbouncer"] |= {"enabled": True, "poolers": poolers}
        asks["aws"] = dict(await account)
        file.write_text(yaml.safe_dump(document))
        await bed.exporter.stop()
        await bed.exporter.start()
        async with await psycopg.AsyncConnection.connect(pool.dsn(DATABASE)) as user:
            await user.execute("SELECT count(*) FROM tasks")
            yield


async def test_every_panel_gets_data_while_a_bad_release_comes_and_goes(tmp_path: Path) -> None:
    clock = SystemClock()
    async with (
        Aws.start() as aws,
        # Both take seconds: beside each other they take little more than one of them.
        cancel_on_exit(aws_account.everything(aws, clock.now()), name="account") as account,
        beds.start(tmp_path, factor=20.0) as bed,
    ):
        await keep_recorded_objects(bed.places.kubeconfig)
        urls = [f"{bed.places.probe_url}/tasks"]
        load = Load.start(lambda: urls, rate=40.0, seconds=300.0)
        async with load, seeing_everything(bed, account):
            await watch.until_healthy(bed)
            assert await bad_release.play(bed, Story(clock))
            unmeasured = dict.fromkeys(measured(), "the simulated cluster measures nothing")
            found = await answers(bed.prometheus, {**QUIET, **unmeasured})
        assert found.refused == []
        assert found.silent == []
        assert [name for name in found.idle if name in unmeasured] == []
