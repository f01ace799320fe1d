"""Verification against a real Prometheus whose rules have the shipped rules' names."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from exporter.shared.clock import SystemClock
from exporter.shared.errors import PermanentError
from responder.actions import verify
from responder.domain.plan import SettledState
from responder.domain.values import Target
from responder.gateways.prometheus import PrometheusGateway
from tests.bed.process import free_port, wait_until
from tests.bed.prometheus import Prometheus, Scrape
from tests.bed.steps import Step, no_cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

W = 'namespace="default",workload="{}",workload_type="deployment"'
RULES = {
    "namespace_workload:kpi_error_ratio:rate": "error_ratio",
    "namespace_workload:kpi_availability:rate": "availability",
    "namespace_workload:kpi_throughput:rate": "throughput",
    "namespace_workload:kpi_requests:increase": "requests",
    "database:kpi_database_connections_ratio:rate": "connections_ratio",
}
"""Recorded name → the exposed series behind it: an exposition may not hold colons."""

ERROR_RATIO = {
    "cured": ("0.001", "412"),
    "sick": ("0.2", "412"),
    "quiet": ("0.001", "3"),
    "silent": ("NaN", "0"),
    "unseen": ("0.001", None),
    "vanished": (None, "412"),
}
"""Workload → its error ratio and its requests in the window."""

OF_ERRORS = verify.Params(kpi="error_ratio")
OF_AVAILABILITY = verify.Params(kpi="availability")
LATE = timedelta(minutes=10)
"""When what is still out of its target has failed."""


def exposition(now: datetime) -> str:
    lines = [
        'kpi_target{kpi="error_ratio",comparison="below"} 0.01',
        'kpi_target{kpi="availability",comparison="above"} 0.999',
        'kpi_target{kpi="database_connections_ratio",comparison="below"} 0.8',
        f"availability{{{W.format('cured')}}} 0.9995",
        f"availability{{{W.format('sick')}}} 0.5",
        f"throughput{{{W.format('cured')}}} 7",
        'connections_ratio{database="taskmanager"} 0.3',
    ]
    for workload, (ratio, requests) in ERROR_RATIO.items():
        subject = W.format(workload)
        lines += [f"error_ratio{{{subject}}} {ratio}"] if ratio else []
        lines += [f"requests{{{subject}}} {requests}"] if requests else []
    lines += [
        f'kpi_source_last_success_timestamp_seconds{{collector="{collector}",source="s"}} '
        f"{now.timestamp()}"
        for collector in ("app_metrics", "http_probe", "postgres")
    ]
    return "\n".join(lines) + "\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def metrics(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PrometheusGateway]:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(text=exposition(SystemClock().now()))

    root = tmp_path_factory.mktemp("verify")
    app = web.Application()
    app.router.add_get("/metrics", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_port()).start()
    async with Prometheus.start(
        root, scrapes=[Scrape("exporter", f"127.0.0.1:{port}")], rules=[rules(root)]
    ) as prometheus:

        async def recorded() -> bool:
            found = [bool(await prometheus.query(name)) for name in RULES]
            return all(found)

        await wait_until(recorded, 15, "every rule to be recorded")
        gateway = PrometheusGateway(prometheus.url)
        yield gateway
        await gateway.close()
    await runner.cleanup()


def rules(root: Path) -> Path:
    path = root / "rules.yaml"
    by = "sum by (namespace, workload, workload_type, database)"
    group = [{"record": name, "expr": f"{by} ({series})"} for name, series in RULES.items()]
    path.write_text(yaml.safe_dump({"groups": [{"name": "kpi", "rules": group}]}))
    return path


async def look(
    metrics: PrometheusGateway,
    workload: str,
    *,
    params: verify.Params = OF_ERRORS,
    waited: timedelta = timedelta(minutes=3),
    at: timedelta = timedelta(0),
    labels: dict[str, str] | None = None,
) -> tuple[SettledState, str]:
    """Take one look, `waited` after the effect; `at` moves the responder's clock."""
    now = SystemClock().now() + at
    step = Step(no_cluster(), metrics)
    ctx = step.context(intent_at=now - waited, now=now, labels=labels)
    plan = await verify.SPEC.action.plan(Target("Deployment", "default", workload), params, ctx)
    found = await verify.SPEC.action.settled(plan, params, ctx)
    return found.state, found.detail


async def test_a_kpi_within_its_target_is_a_cure(metrics: PrometheusGateway) -> None:
    state, detail = await look(metrics, "cured")
    assert state is SettledState.DONE
    assert detail == "error_ratio: 0.001 is below 0.01 over 412 requests"


async def test_nothing_is_believed_before_settle_and_window(metrics: PrometheusGateway) -> None:
    state, _ = await look(metrics, "cured", waited=timedelta(minutes=2))
    assert state is SettledState.PENDING


async def test_a_kpi_out_of_its_target_waits_until_the_timeout_and_then_fails(
    metrics: PrometheusGateway,
) -> None:
    assert (await look(metrics, "sick"))[0] is SettledState.PENDING
    state, detail = await look(metrics, "sick", waited=LATE)
    assert state is SettledState.FAILED
    assert detail == "error_ratio: 0.2 is not below 0.01 over 412 requests"


@pytest.mark.parametrize("workload", ["quiet", "silent", "unseen", "vanished", "unknown"])
async def test_too_little_data_can_never_be_told(metrics: PrometheusGateway, workload: str) -> None:
    assert (await look(metrics, workload))[0] is SettledState.PENDING
    state, _ = await look(metrics, workload, waited=LATE)
    assert state is SettledState.CANNOT_TELL


async def test_a_stale_value_is_not_believed(metrics: PrometheusGateway) -> None:
    state, detail = await look(metrics, "cured", waited=LATE, at=timedelta(minutes=4))
    assert state is SettledState.CANNOT_TELL
    assert "s old" in detail


async def test_a_kpi_that_must_be_above_and_counts_no_requests(metrics: PrometheusGateway) -> None:
    assert (await look(metrics, "cured", params=OF_AVAILABILITY))[0] is SettledState.DONE
    state, _ = await look(metrics, "sick", params=OF_AVAILABILITY, waited=LATE)
    assert state is SettledState.FAILED


async def test_a_kpi_without_a_target_cannot_be_told(metrics: PrometheusGateway) -> None:
    params = verify.Params(kpi="throughput")
    state, detail = await look(metrics, "cured", params=params, waited=LATE)
    assert state is SettledState.CANNOT_TELL
    assert detail == "throughput: kpi_target does not say what to compare with"


async def test_a_bound_of_its_own_stands_for_the_target(metrics: PrometheusGateway) -> None:
    params = verify.Params(kpi="error_ratio", bound=0.25)
    state, detail = await look(metrics, "sick", params=params)
    assert state is SettledState.DONE
    assert detail == "error_ratio: 0.2 is below 0.25 over 412 requests"
    params = verify.Params(kpi="availability", bound=0.9999)
    assert (await look(metrics, "cured", params=params, waited=LATE))[0] is SettledState.FAILED
    # Which side is the good one only kpi_target says.
    params = verify.Params(kpi="throughput", bound=1.0)
    state, _ = await look(metrics, "cured", params=params, waited=LATE)
    assert state is SettledState.CANNOT_TELL


async def test_a_databases_kpi_goes_by_the_alerts_database(metrics: PrometheusGateway) -> None:
    params = verify.Params(kpi="database_connections_ratio")
    labels = {"database": "taskmanager"}
    assert (await look(metrics, "any", params=params, labels=labels))[0] is SettledState.DONE
    with pytest.raises(PermanentError, match="names none"):
        await look(metrics, "any", params=params)


async def test_a_prometheus_that_is_away_cannot_tell() -> None:
    nobody = PrometheusGateway(f"http://127.0.0.1:{free_port()}")
    assert (await look(nobody, "cured"))[0] is SettledState.PENDING
    state, detail = await look(nobody, "cured", waited=LATE)
    assert state is SettledState.CANNOT_TELL
    assert "could not be asked" in detail
    await nobody.close()
