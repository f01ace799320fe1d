"""The collector's series, from objects in the form that an API server gives them."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from exporter.collectors.security import SPEC, Settings
from exporter.contract import PolledSource
from exporter.shared.errors import NotFoundError, PermanentError
from tests import rights
from tests.fake_clients import FakeClients, lines

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REPORTS = "/apis/aquasecurity.github.io/v1alpha1/vulnerabilityreports"
EXPIRES = datetime(2027, 3, 4, tzinfo=UTC)
BOUNDS = {"cpu": "1", "memory": "1Gi"}
CLUSTER_ADMIN = rights.role("cluster-admin", rights.rule("*", "*", "*"))
Object = Mapping[str, object]


def clients(**objects: Sequence[object]) -> FakeClients:
    """Return clients of a cluster with these objects, by resource, and no others."""
    made = FakeClients()
    paths = {
        **{name: f"{RBAC}/{name}" for name in ("roles", "clusterroles")},
        **{name: f"{RBAC}/{name}" for name in ("rolebindings", "clusterrolebindings")},
        **{name: f"/api/v1/{name}" for name in ("pods", "namespaces", "secrets")},
        "networkpolicies": "/apis/networking.k8s.io/v1/networkpolicies",
    }
    made.kube.objects |= {path: objects.get(name, ()) for name, path in paths.items()}
    return made


async def collect(clients: FakeClients, part: str, **settings: object) -> list[str]:
    sources = {one.name: one for one in SPEC.sources(Settings.model_validate(settings), clients)}
    source = sources[part]
    assert isinstance(source, PolledSource)
    return lines(await source.collect())


async def test_rights_are_counted_and_holders_of_everything_named() -> None:
    made = clients(
        roles=rights.ROLES,
        clusterroles=[
            rights.role("cluster-admin", rights.rule("*", "*", "*")),
            *rights.CLUSTER_ROLES,
        ],
        rolebindings=rights.ROLE_BINDINGS,
        clusterrolebindings=rights.CLUSTER_ROLE_BINDINGS,
    )
    admin = "kpi_rbac_cluster_admin_info{subject_kind="
    assert await collect(made, "rbac") == [
        "kpi_rbac_cluster_role_bindings{} 5",
        'kpi_rbac_role_bindings{namespace="shop"} 3',
        "kpi_rbac_cluster_admins{} 3",
        f'{admin}"Group",subject_namespace="",subject="ops"}} 1',
        f'{admin}"ServiceAccount",subject_namespace="tools",subject="robot"}} 1',
        f'{admin}"User",subject_namespace="",subject="root@example.com"}} 1',
        'kpi_rbac_wildcard_roles{namespace=""} 3',
    ]


def pod(name: str, image: str, created: str, **spec: object) -> Object:
    replica_set = name.rpartition("-")[0]
    template_hash = replica_set.rpartition("-")[2]
    owner = {"kind": "ReplicaSet", "name": replica_set, "uid": "r", "controller": True}
    container = {
        "name": "web",
        "image": image,
        "resources": {"limits": BOUNDS, "requests": BOUNDS},
    }
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"pod-template-hash": template_hash},
            "creationTimestamp": created,
            "ownerReferences": [owner],
        },
        "spec": {
            "serviceAccountName": "web",
            "securityContext": {"runAsNonRoot": True},
            "containers": [container],
            **spec,
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "web", "imageID": f"{image}@sha256:abc"}],
        },
    }


WEB = 'namespace="shop",workload="web",workload_type="deployment"'
WEB_CONTAINER = f'{WEB},container="web"'


async def test_pods_are_counted_by_finding_and_their_images_told() -> None:
    old, new = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
    over = dict(pod("web-abc-3", "web", old)) | {"status": {"phase": "Succeeded"}}
    made = clients(
        pods=[
            pod("web-abc-1", "web:v1", new, hostNetwork=True),
            pod("web-abc-2", "web:v1", old),
            over,
        ]
    )
    found = await collect(made, "pods")
    counts = [line for line in found if line.startswith("kpi_security_pods")]
    assert len(counts) == 12
    assert [line for line in counts if not line.endswith(" 0")] == [
        'kpi_security_pods{namespace="shop",finding="host_network"} 1'
    ]
    start = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert found[12:] == [
        f'kpi_security_workload_pods{{{WEB},finding="host_network"}} 1',
        f'kpi_workload_image_info{{{WEB},container="web",image="web:v1"}} 1',
        f'kpi_workload_image_timestamp_seconds{{{WEB_CONTAINER},basis="pod_start"}} {start:g}',
    ]


async def test_an_image_is_as_old_as_a_report_says_and_its_findings_are_counted(
    tmp_path: Path,
) -> None:
    report = {
        "SchemaVersion": 2,
        "CreatedAt": "2026-02-02T00:00:00Z",
        "ArtifactName": "else:v1",
        "Metadata": {
            "RepoDigests": ["else@sha256:abc"],
            "ImageConfig": {"created": "2025-06-01T00:00:00Z"},
        },
        "Results": [{"Vulnerabilities": [{"Severity": "HIGH"}]}],
    }
    (tmp_path / "else.json").write_text(json.dumps(report))
    (tmp_path / "broken.json").write_text("{")
    made = clients(pods=[pod("web-abc-1", "web:v1", "2026-02-01T00:00:00Z")])
    settings = Settings(reports=tmp_path)
    sources = {one.name: one for one in SPEC.sources(settings, made)}
    reports, pods = sources["reports"], sources["pods"]
    assert isinstance(reports, PolledSource)
    assert isinstance(pods, PolledSource)
    assert lines(await reports.collect()) == [
        'kpi_image_vulnerabilities{scanner="trivy",image="else:v1",severity="CRITICAL"} 0',
        'kpi_image_vulnerabilities{scanner="trivy",image="else:v1",severity="HIGH"} 1',
        'kpi_image_vulnerabilities{scanner="trivy",image="else:v1",severity="MEDIUM"} 0',
        'kpi_image_vulnerabilities{scanner="trivy",image="else:v1",severity="LOW"} 0',
        'kpi_image_vulnerabilities{scanner="trivy",image="else:v1",severity="UNKNOWN"} 0',
        'kpi_image_scan_timestamp_seconds{scanner="trivy",image="else:v1"} 1.76999e+09',
        "kpi_scan_reports_unreadable{} 1",
    ]
    built = datetime(2025, 6, 1, tzinfo=UTC).timestamp()
    age = f'kpi_workload_image_timestamp_seconds{{{WEB_CONTAINER},basis="created"}} {built:g}'
    assert lines(await pods.collect())[-1] == age


async def test_namespaces_without_a_policy_count_none() -> None:
    made = clients(
        namespaces=[{"metadata": {"name": name}} for name in ("shop", "tools")],
        networkpolicies=[{"metadata": {"name": "deny", "namespace": "shop"}}],
    )
    assert await collect(made, "network-policies") == [
        'kpi_namespace_network_policies{namespace="shop"} 1',
        'kpi_namespace_network_policies{namespace="tools"} 0',
    ]


def secret(name: str, *written: tuple[str, str]) -> Object:
    fields = [{"time": time, "fieldsV1": {part: {".": {}}}} for time, part in written]
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": fields,
        }
    }


async def test_a_secret_is_as_old_as_its_data_and_only_metadata_is_asked_for() -> None:
    rotated = secret(
        "a", ("2026-03-01T00:00:00Z", "f:data"), ("2026-05-01T00:00:00Z", "f:metadata")
    )
    made = clients(secrets=[rotated, secret("b", ("2026-04-01T00:00:00Z", "f:data"))])
    oldest = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert await collect(made, "secrets") == [
        'kpi_secrets{namespace="shop"} 2',
        f'kpi_secret_oldest_change_timestamp_seconds{{namespace="shop"}} {oldest:g}',
    ]
    ((verb, _, query),) = made.kube.asked
    assert verb == "metadata"
    assert "type!=helm.sh/release.v1" in query["fieldSelector"]


def certificate() -> bytes:
    issued = trustme.CA().issue_cert("web.example.com", not_after=EXPIRES)
    return issued.cert_chain_pems[0].bytes()


async def test_certificates_tell_when_they_expire_and_only_when_asked_for() -> None:
    readable = {"tls.crt": base64.b64encode(certificate()).decode(), "tls.key": "c2VjcmV0"}
    made = clients(
        secrets=[
            {"metadata": {"name": "web", "namespace": "shop"}, "data": readable},
            {"metadata": {"name": "empty", "namespace": "shop"}, "data": {"tls.crt": ""}},
            {"metadata": {"name": "bare", "namespace": "shop"}},
        ]
    )
    labels = 'namespace="shop",secret="web"'
    assert await collect(made, "certificates", certificates=True) == [
        f"kpi_certificate_expiry_timestamp_seconds{{{labels}}} {EXPIRES.timestamp():g}",
        "kpi_certificates_unreadable{} 2",
    ]
    assert "certificates" not in {one.name for one in SPEC.sources(Settings(), clients())}


async def test_the_api_servers_own_certificate_is_looked_at_where_it_shows_one() -> None:
    made = clients()
    assert await collect(made, "apiserver-certificate") == []
    made.kube.shown = trustme_der()
    name = "kpi_apiserver_certificate_expiry_timestamp_seconds"
    assert await collect(made, "apiserver-certificate") == [f"{name}{{}} {EXPIRES.timestamp():g}"]
    made.kube.shown = b"else"
    with pytest.raises(PermanentError, match="no certificate"):
        await collect(made, "apiserver-certificate")


def trustme_der() -> bytes:
    body = certificate().decode().split("-----")[2]
    return base64.b64decode(body)


async def test_the_operators_reports_are_read_a_few_at_a_time_and_missed_loudly() -> None:
    made = clients()
    made.kube.objects[REPORTS] = [
        {"report": {"artifact": {"repository": "web", "tag": "v1"}, "summary": {"highCount": 3}}}
    ]
    assert await collect(made, "vulnerability-reports", vulnerability_reports=True) == [
        'kpi_image_vulnerabilities{scanner="trivy-operator",image="web:v1",severity="HIGH"} 3'
    ]
    made.kube.objects[REPORTS] = NotFoundError("the server could not find the requested resource")
    with pytest.raises(NotFoundError):
        await collect(made, "vulnerability-reports", vulnerability_reports=True)
