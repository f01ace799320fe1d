"""The release over its life: installed, asked, upgraded, rolled back; and what it may not do."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path

import pytest
import pytest_asyncio

from tests.bed import manifests, real_bed, release, rights, watch
from tests.bed.bed import Bed
from tests.bed.cluster.client import MERGE_PATCH, Client, at, items
from tests.bed.cluster.real import RealCluster
from tests.bed.cluster.rest import ClusterError, path_of
from tests.bed.process import wait_until
from tests.bed.real_bed import Ground
from tests.bed.release import NAMESPACE, RELEASE, Helm

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="session")]

TITLE = "Checkout is slow"
GROUP = "monitoring.coreos.com"
MONITORING = {"servicemonitors": "ServiceMonitor", "prometheusrules": "PrometheusRule"}
"""prometheus-operator's kinds, as far as the chart has them."""


@dataclass(frozen=True)
class Installed:
    """A bed, and helm to do more with its release."""

    bed: Bed
    cluster: RealCluster
    helm: Helm

    async def kubectl(self, *arguments: str, stdin: str = "") -> str:
        return await asyncio.to_thread(self.cluster.kubectl, *arguments, stdin=stdin)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def installed(
    ground: Ground, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installed]:
    root = tmp_path_factory.mktemp("release")
    async with real_bed.start(ground, root, factor=20.0, replicas=1) as bed:
        yield Installed(bed, ground.cluster, Helm(ground.cluster, root / "helm"))


async def test_the_namespace_is_restricted_and_nothing_was_refused(installed: Installed) -> None:
    found = await installed.cluster.get("Namespace", "", NAMESPACE)
    labels = at(found, "metadata.labels")
    assert isinstance(labels, dict)
    assert labels.items() >= release.RESTRICTED.items()
    events = json.loads(await installed.kubectl("get", "events", "-n", NAMESPACE, "-o", "json"))
    assert [event for event in items(events) if event["reason"] == "FailedCreate"] == []
    privileged = ("--image=any", "--privileged", "--dry-run=server", f"--namespace={NAMESPACE}")
    with pytest.raises(ClusterError, match='violates PodSecurity "restricted'):
        await installed.kubectl("run", "refused", *privileged)


async def test_helm_test_finds_both_programs_ready(installed: Installed) -> None:
    said = await installed.helm.run("test", RELEASE, "--logs")
    assert "Phase:          Succeeded" in said, said
    assert said.count("answers") == 3, said


async def test_an_upgrade_and_its_rollback_lose_no_incident(installed: Installed) -> None:
    bed, values = installed.bed, installed.bed.root / "values.yaml"
    await watch.call(bed, "/api/v1/incidents", {"title": TITLE, "severity": "warning"})
    more = ("--set", "exporter.replicas=2", "--set-string", "responder.podAnnotations.release=two")
    await installed.helm.install(values, *more)
    assert await _replicas(installed) == (2, 2)
    assert TITLE in [item["title"] for item in await watch.incidents(bed)]
    await installed.helm.run("rollback", RELEASE, "1", "--wait", f"--timeout={release.WAIT}")
    assert await _replicas(installed) == (1, 1)
    assert TITLE in [item["title"] for item in await watch.incidents(bed)]
    history = json.loads(await installed.helm.run("history", RELEASE, "--output=json"))
    assert [(each["revision"], each["status"]) for each in history] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]


async def test_monitors_and_rules_appear_where_their_kinds_exist(installed: Installed) -> None:
    values, names = installed.bed.root / "values.yaml", [f"{name}.{GROUP}" for name in MONITORING]
    try:
        for each in starmap(_definition, MONITORING.items()):
            await installed.kubectl("apply", "-f", "-", stdin=json.dumps(each))
        for name in names:
            await installed.kubectl("wait", "--for=condition=Established", f"crd/{name}")
        await installed.helm.install(values)
        listed = await installed.kubectl("get", ",".join(names), "-n", NAMESPACE, "-o", "name")
        assert sorted(listed.split()) == [
            f"prometheusrule.{GROUP}/{RELEASE}-rules",
            f"servicemonitor.{GROUP}/{release.RESPONDER}",
            f"servicemonitor.{GROUP}/{release.EXPORTER}",
        ]
    finally:
        await installed.helm.install(values, "--set", "monitoring.enabled=false")
        await installed.kubectl("delete", "crd", *names, "--ignore-not-found")


async def test_a_responder_that_was_killed_comes_back_with_its_incidents(
    installed: Installed,
) -> None:
    before = {item["id"] for item in await watch.incidents(installed.bed)}
    assert before != set()
    await installed.bed.responder.kill()
    await installed.bed.responder.start()

    async def there() -> bool:
        return before <= {item["id"] for item in await watch.incidents(installed.bed)}

    await wait_until(there, 30, "the incidents are there again")  # perhaps with a new one


async def test_the_exporter_cannot_write(installed: Installed, tmp_path: Path) -> None:
    token = await installed.kubectl("create", "token", release.EXPORTER, f"--namespace={NAMESPACE}")
    config = json.loads(installed.cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token.strip()}
    borrowed = tmp_path / "kubeconfig"
    borrowed.write_text(json.dumps(config))
    mine = path_of("Deployment", manifests.NAMESPACE, manifests.NAME)
    async with Client.connect(borrowed, user_agent=rights.BORROWER) as api:
        assert (await api.get(path_of("Deployment", manifests.NAMESPACE))).status == 200
        change = {"spec": {"replicas": 0}}
        refused = await api.send("PATCH", mine, change, content_type=MERGE_PATCH)
        assert (refused.status, refused.at("reason")) == (403, "Forbidden")
        pods = path_of("Pod", manifests.NAMESPACE)
        assert (await api.send("DELETE", pods)).status == 403
    verbs = {
        right.verb for right in rights.granted(installed.cluster) if "exporter" in right.program
    }
    assert verbs == {"get", "list", "watch"}


async def _replicas(installed: Installed) -> tuple[object, object]:
    """Return how many pods of the exporter are wanted, and how many are ready."""
    found = await installed.cluster.get("Deployment", NAMESPACE, release.EXPORTER)
    return at(found, "spec.replicas"), at(found, "status.readyReplicas")


def _definition(plural: str, kind: str) -> dict[str, object]:
    """Return a kind that takes whatever is said: only its presence matters here."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": anything},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
