"""Rights, releases and posture of a real cluster, compared with what kubectl and helm say of it."""

import json
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import yaml
from cryptography import x509

from exporter.clients.http import USER_AGENT
from exporter.clients.open import OpenClients
from exporter.collectors import helm, security
from exporter.contract import CollectorSpec, PolledSource, Sample
from exporter.posture import rbac, reading
from exporter.posture.examine import Examination, Wanted
from exporter.posture.report import Limits, Status
from exporter.shared.clock import SystemClock
from exporter.shared.config import Section
from exporter.shared.errors import NotFoundError
from exporter.shared.rbac import rules, verbs_of
from tests import rights
from tests.bed.cluster.real import programs
from tests.bed.cluster.real.cluster import RealCluster
from tests.bed.cluster.rest import ClusterError

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1800)]

SettingsT = TypeVar("SettingsT", bound=Section)

RESOURCE = 0
URL = 1
NAMES = 2
VERBS = 3
"""Columns of kubectl's list."""
Rights = set[tuple[str, str, str]]
"""What (a resource or an address), only which, one verb."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealCluster]:
    programs.build()
    async with RealCluster.start(tmp_path_factory.mktemp("cluster")) as made:
        for name in ("shop", "tools"):
            await made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        made.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(rights.RIGHTS))
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def clients(cluster: RealCluster) -> AsyncIterator[OpenClients]:
    opened = OpenClients(kubeconfig=cluster.kubeconfig, applications=(), clock=SystemClock())
    yield opened
    await opened.close()


async def collect(
    spec: CollectorSpec[SettingsT], settings: SettingsT, clients: OpenClients, part: str
) -> dict[tuple[str, ...], float]:
    """Return a part's series by name and label values."""
    source = next(one for one in spec.sources(settings, clients) if one.name == part)
    assert isinstance(source, PolledSource)
    return {_key(sample): sample.value for sample in (await source.collect()).samples}


def _key(sample: Sample) -> tuple[str, ...]:
    return (sample.metric.name, *sample.labels)


def of_kubectl(text: str) -> Rights:
    """Read `kubectl auth can-i --list`: columns are told by where their titles begin."""
    title, *rows = text.splitlines()
    starts = [title.index(word) for word in ("Resources", "Non-", "Resource Names", "Verbs")]
    found: Rights = set()
    for row in rows:
        cells = [row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        what = cells[RESOURCE] or cells[URL].strip("[]")
        for verb in cells[VERBS].strip("[]").split():
            found.add((what, cells[NAMES].strip("[]"), verb))
    return found


def ours(found: rbac.Access) -> Rights:
    return {
        (what, " ".join(grant.names), verb)
        for grant in found.grants
        for what in (*grant.resources, *grant.urls)
        for verb in grant.verbs
    }


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        ("ann@example.com", []),
        ("nobody@example.com", []),
        ("root@example.com", []),
        ("system:serviceaccount:tools:robot", []),
        ("system:serviceaccount:shop:ci", []),
        ("carl@example.com", ["ops"]),
    ],
)
async def test_access_is_what_kubectl_lists(
    cluster: RealCluster, clients: OpenClients, user: str, groups: list[str]
) -> None:
    impersonated = (f"--as={user}", *(f"--as-group={group}" for group in groups))
    listed = of_kubectl(cluster.kubectl("auth", "can-i", "--list", "-n", "shop", *impersonated))
    found = rbac.access(await reading.rbac(clients.kube), user, groups)
    assert ours(rbac.within(found, "shop")) == listed


async def test_an_address_in_a_namespace_is_listed_by_kubectl_but_gives_nothing(
    cluster: RealCluster, clients: OpenClients
) -> None:
    impersonated = ("--as=bob", "--as-group=developers")
    listed = of_kubectl(cluster.kubectl("auth", "can-i", "--list", "-n", "shop", *impersonated))
    found = rbac.access(await reading.rbac(clients.kube), "bob", ["developers"])
    assert listed - ours(rbac.within(found, "shop")) == {("/metrics", "", "get")}
    with pytest.raises(ClusterError, match="Forbidden"):
        cluster.kubectl("get", "--raw", "/metrics", *impersonated)


def run_helm(cluster: RealCluster, *args: str, **environment: str) -> str:
    done = subprocess.run(
        [cluster.places.program("helm"), *args],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


async def test_releases_are_what_helm_lists(
    cluster: RealCluster, clients: OpenClients, tmp_path: Path
) -> None:
    chart = tmp_path / "web"
    run_helm(cluster, "create", str(chart))
    image = ("--set", "image.repository=localhost/pause", "--set", "image.tag=1")
    upgrade = ("upgrade", "--install", "web", str(chart), "-n", "shop", *image)
    run_helm(cluster, *upgrade)
    run_helm(cluster, *upgrade, "--set", "image.tag=else", "--wait", "--timeout", "1s")
    (listed,) = json.loads(run_helm(cluster, "list", "-n", "shop", "-o", "json"))
    found = await collect(helm.SPEC, helm.Settings(), clients, "releases")
    release = ("shop", "web")
    assert found["kpi_helm_release_status", *release, listed["status"]] == 1
    assert listed["status"] == "failed"
    assert found["kpi_helm_release_revision", *release] == int(listed["revision"]) == 2
    assert found["kpi_helm_release_deployed_revision", *release] == 1
    age = (
        clients.clock.now().timestamp()
        - found["kpi_helm_release_updated_timestamp_seconds", *release]
    )
    assert -2 < age < 60
    charts = await collect(helm.SPEC, helm.Settings(), clients, "charts")
    assert charts == {("kpi_helm_release_chart_info", *release, "web", "0.1.0"): 1}
    run_helm(cluster, "uninstall", "web", "-n", "shop", "--wait")


async def test_a_release_in_config_maps_is_found_there(
    cluster: RealCluster, clients: OpenClients, tmp_path: Path
) -> None:
    chart = tmp_path / "quiet"
    run_helm(cluster, "create", str(chart))
    scaled = ("--set", "replicaCount=0", "-n", "tools")
    run_helm(cluster, "install", "quiet", str(chart), *scaled, HELM_DRIVER="configmap")
    settings = helm.Settings.model_validate({"storage": "configmaps"})
    found = await collect(helm.SPEC, settings, clients, "releases")
    assert found["kpi_helm_release_status", "tools", "quiet", "deployed"] == 1


async def test_a_secret_is_as_old_as_its_last_change_of_data(
    cluster: RealCluster, clients: OpenClients
) -> None:
    def write(password: str) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "postgres-secret", "namespace": "tools"},
            "stringData": {"password": password},
        }
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(secret))

    async def changed() -> float:
        found = await collect(security.SPEC, security.Settings(), clients, "secrets")
        return found["kpi_secret_oldest_change_timestamp_seconds", "tools"]

    write("old")
    before = await changed()
    await clients.clock.sleep(timedelta(seconds=1.1))  # the API server writes whole seconds
    cluster.kubectl("label", "secret", "postgres-secret", "-n", "tools", "team=a")
    assert await changed() == before
    write("new")
    assert await changed() > before


async def test_the_api_servers_certificate_expires_when_it_says(
    cluster: RealCluster, clients: OpenClients
) -> None:
    found = await collect(security.SPEC, security.Settings(), clients, "apiserver-certificate")
    server = json.loads(cluster.kubectl("config", "view", "-o", "json"))["clusters"][0]["cluster"]
    address = urlsplit(server["server"])
    shown = ssl.get_server_certificate((str(address.hostname), int(address.port or 443)))
    expires = x509.load_pem_x509_certificate(shown.encode()).not_valid_after_utc
    assert list(found.values()) == [expires.timestamp()]


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "careless", "namespace": "tools"},
    "spec": {
        "hostNetwork": True,
        "containers": [
            {"name": "c", "image": "nginx", "securityContext": {"privileged": True}},
        ],
        "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    },
}


async def test_a_careless_pod_is_found(cluster: RealCluster, clients: OpenClients) -> None:
    await cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": "tools"},
        }
    )
    await cluster.apply(POD)
    found = await collect(security.SPEC, security.Settings(), clients, "pods")
    counts = {
        key[2]: value for key, value in found.items() if key[:2] == ("kpi_security_pods", "tools")
    }
    assert {name for name, count in counts.items() if count} == {
        *("default_service_account", "host_network", "host_path", "latest_image"),
        *("may_run_as_root", "no_cpu_limit", "no_cpu_request", "no_memory_limit", "privileged"),
    }
    await cluster.delete("Pod", "tools", "careless")


async def test_without_rights_nothing_is_passed(cluster: RealCluster) -> None:
    opened = OpenClients(
        kubeconfig=cluster.kubeconfigs["exporter"], applications=(), clock=SystemClock()
    )
    wanted = Wanted(
        secrets=True,
        certificates=True,
        vulnerability_reports=True,
        reports=None,
        max_reports=1,
        max_report_bytes=1,
    )
    days = timedelta(days=30)
    checks = await Examination(
        opened.kube, wanted, opened.clock.now(), Limits(days, days, days)
    ).checks()
    await opened.close()
    passed = [check.title for check in checks if check.status is not Status.NOT_EXAMINED]
    assert passed == ["the API server's own, to hold for 30 days"], "a handshake needs no right"
    assert all("forbidden" in check.summary for check in checks if check.title not in passed)


async def test_the_rights_that_are_declared_are_enough_and_all_are_used(
    cluster: RealCluster,
) -> None:
    declared = verbs_of((*security.SPEC.permissions, *helm.SPEC.permissions))
    role = rights.role("kpi-exporter", *(dict(rule) for rule in rules(declared)))
    given = rights.binding("kpi-exporter", "ClusterRole/kpi-exporter", rights.user("exporter"))
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([role, given]))
    opened = OpenClients(
        kubeconfig=cluster.kubeconfigs["exporter"], applications=(), clock=SystemClock()
    )
    before = len(cluster.requests())
    for sources in (
        security.SPEC.sources(security.Settings(certificates=True), opened),
        helm.SPEC.sources(helm.Settings(), opened),
        helm.SPEC.sources(helm.Settings(storage="configmaps"), opened),
    ):
        for source in sources:
            assert isinstance(source, PolledSource)
            await source.collect()
    with pytest.raises(NotFoundError):  # no trivy-operator here, but the right to ask for it
        await reading.reports(opened.kube)
    await opened.close()
    seen = [one for one in cluster.requests()[before:] if one.user_agent == USER_AGENT]
    assert {one.verb for one in seen} == {"list"}
    asked = {one.path.rpartition("/")[2] for one in seen}
    assert asked == {resource for _, resource in declared}
