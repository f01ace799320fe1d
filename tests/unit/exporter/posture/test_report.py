"""The compliance report: dated, complete, and honest about what it did not see."""

import json
from datetime import UTC, datetime, timedelta

from exporter.posture.examine import Examination, Wanted
from exporter.posture.report import Document, Limits, Status
from exporter.shared.errors import PermanentError
from tests import rights
from tests.fake_clients import FakeKube

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
LIMITS = Limits(timedelta(days=90), timedelta(days=90), timedelta(days=30))
NOTHING = Wanted(
    secrets=False,
    certificates=False,
    vulnerability_reports=False,
    reports=None,
    max_reports=1,
    max_report_bytes=1,
)
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def cluster() -> FakeKube:
    kube = FakeKube()
    kube.objects |= {
        f"{RBAC}/clusterroles": rights.CLUSTER_ROLES,
        f"{RBAC}/roles": rights.ROLES,
        f"{RBAC}/clusterrolebindings": rights.CLUSTER_ROLE_BINDINGS,
        f"{RBAC}/rolebindings": rights.ROLE_BINDINGS,
        "/api/v1/pods": [
            {
                "metadata": {
                    "name": "lone|y",
                    "namespace": "shop",
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                },
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            }
        ],
        "/api/v1/namespaces": [{"metadata": {"name": name}} for name in ("shop", "tools")],
        "/apis/networking.k8s.io/v1/networkpolicies": [
            {"metadata": {"name": "deny", "namespace": "shop"}}
        ],
        "/api/v1/secrets": [
            {
                "metadata": {
                    "name": "old",
                    "namespace": "shop",
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                }
            },
            {
                "metadata": {
                    "name": "new",
                    "namespace": "shop",
                    "creationTimestamp": "2026-11-01T00:00:00Z",
                }
            },
        ],
    }
    return kube


async def written(kube: FakeKube, wanted: Wanted) -> Document:
    checks = await Examination(kube, wanted, NOW, LIMITS).checks()
    return Document("shop-cluster", NOW, "0.1.0", checks)


async def test_findings_are_listed_by_check_and_dated() -> None:
    document = await written(cluster(), NOTHING)
    text = document.as_markdown()
    assert text.startswith("# Security posture of shop-cluster\n\n2026-11-24 09:30 UTC")
    assert "| network | namespaces without a network policy | found | 1 of 2 namespaces |" in text
    assert "## access: may do everything\n\n- Group ops\n- ServiceAccount tools/robot\n" in text
    assert "- shop/- nginx: since 2026-01-01 at least\n" in text


async def test_what_is_off_is_not_passed() -> None:
    checks = {check.title: check for check in (await written(cluster(), NOTHING)).checks}
    for title in ("ages of secrets", "certificates in TLS secrets", "findings of scanners"):
        assert checks[title].status is Status.NOT_EXAMINED
        assert checks[title].summary == "off in the settings (security)"
    assert checks["the API server's certificate"].status is Status.NOT_EXAMINED


async def test_what_may_not_be_read_loses_nothing_else() -> None:
    kube = cluster()
    whole = await written(kube, NOTHING)
    kube.objects["/api/v1/pods"] = PermanentError("pods is forbidden")
    cut = await written(kube, NOTHING)
    pods = [check for check in cut.checks if check.area == "pods"]
    assert [(check.status, check.summary) for check in pods] == [
        (Status.NOT_EXAMINED, "pods is forbidden")
    ]
    rest = [check for check in whole.checks if check.area not in ("pods", "images")]
    assert [check for check in cut.checks if check.area not in ("pods", "images")] == rest


async def test_secrets_that_were_left_alone_are_named() -> None:
    wanted = Wanted(**{**{f: getattr(NOTHING, f) for f in NOTHING.__slots__}, "secrets": True})
    (check,) = [c for c in (await written(cluster(), wanted)).checks if c.area == "secrets"]
    assert check.details == ("shop/old: 327 days",)
    assert check.summary == "1 of 2 secrets"


async def test_json_holds_the_same_as_the_document() -> None:
    document = await written(cluster(), NOTHING)
    read = json.loads(json.dumps(document.as_json()))
    assert read["schema"] == 1
    assert read["at"] == "2026-11-24T09:30:00+00:00"
    assert [check["title"] for check in read["checks"]] == [c.title for c in document.checks]
    assert {check["status"] for check in read["checks"]} <= set(Status)
