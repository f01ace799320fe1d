"""The collector on what Helm 4.3.1 left in a Kubernetes 1.37 cluster.

Recorded after an install, an upgrade that worked, one that failed, and an install that was killed.
"""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, cast

import msgspec
import pytest

from exporter.collectors.helm import SPEC, Settings, charts, releases
from exporter.contract import Collected, PolledSource
from exporter.shared.errors import PermanentError
from exporter.watch.listing import Kept
from exporter.watch.objects import Meta
from tests.fake_clients import FakeClients, lines
from tests.json_fields import changed, paths

T = TypeVar("T")

DATA = Path(__file__).with_name("helm_releases.json")
OBJECTS: dict[str, list[dict[str, object]]] = json.loads(DATA.read_text())
NOW = datetime(2026, 11, 24, 19, 25, 27, tzinfo=UTC)
STUCK = 'namespace="default",release="stuck"'
TASKS = 'namespace="default",release="task-manager"'


def fields(name: str) -> list[tuple[object, ...]]:
    """Return every field but the metadata themselves, without which there is no object."""
    return [path for path in paths(OBJECTS[name]) if path[1:] != ("metadata",)]


def decoded(objects: object, kind: type[T]) -> list[T]:
    metadata = [one["metadata"] for one in cast("list[dict[str, object]]", objects)]
    return msgspec.json.decode(json.dumps(metadata), type=list[kind])  # type: ignore[valid-type]


def of_secrets(secrets: object) -> list[str]:
    return lines(Collected(list(releases(decoded(secrets, Kept), NOW))))


def of_workloads(workloads: object) -> list[str]:
    return lines(Collected(charts(decoded(workloads, Meta))))


def test_a_release_is_told_by_its_newest_revision() -> None:
    assert of_secrets(OBJECTS["secrets"]) == [
        f'kpi_helm_release_status{{{STUCK},status="pending-install"}} 1',
        f"kpi_helm_release_revision{{{STUCK}}} 1",
        f"kpi_helm_release_updated_timestamp_seconds{{{STUCK}}} 1.79554e+09",
        f"kpi_helm_release_pending_seconds{{{STUCK}}} 3600",
        f'kpi_helm_release_status{{{TASKS},status="failed"}} 1',
        f"kpi_helm_release_revision{{{TASKS}}} 3",
        f"kpi_helm_release_deployed_revision{{{TASKS}}} 2",
        f"kpi_helm_release_updated_timestamp_seconds{{{TASKS}}} 1.79554e+09",
        "kpi_helm_revisions_unreadable{} 0",
    ]


def test_an_upgrade_that_failed_is_as_old_as_its_failure_and_not_as_the_label_says() -> None:
    found = releases(decoded(OBJECTS["secrets"], Kept), NOW)
    times = {
        sample.labels[1]: datetime.fromtimestamp(sample.value, UTC).isoformat()
        for sample in found
        if sample.metric.name.endswith("_timestamp_seconds")
    }
    assert times["task-manager"] == "2026-11-24T18:25:26+00:00"


def test_charts_are_told_by_the_workloads() -> None:
    assert of_workloads(OBJECTS["deployments"]) == [
        f'kpi_helm_release_chart_info{{{STUCK},chart="task-manager",chart_version="0.1.0"}} 1',
        f'kpi_helm_release_chart_info{{{TASKS},chart="task-manager",chart_version="0.1.0"}} 1',
    ]


@pytest.mark.parametrize(
    ("label", "chart", "version"),
    [
        ("my-app-2-1.2.3", "my-app-2", "1.2.3"),
        ("app-v1.0.0-rc.1_build.5", "app", "v1.0.0-rc.1+build.5"),
        ("app-0.1", "app", "0.1"),
    ],
)
def test_a_chart_label_is_taken_apart(label: str, chart: str, version: str) -> None:
    raw = copy.deepcopy(OBJECTS["deployments"][:1])
    raw[0]["metadata"]["labels"]["helm.sh/chart"] = label  # type: ignore[index]  # JSON
    (line,) = of_workloads(raw)
    assert f'chart="{chart}",chart_version="{version}"' in line


@pytest.mark.parametrize("path", fields("secrets"), ids=str)
def test_any_field_of_a_revision_may_be_missing(path: tuple[object, ...]) -> None:
    found = of_secrets(changed(OBJECTS["secrets"], path))
    assert found[-1].startswith("kpi_helm_revisions_unreadable")
    assert len(set(found)) == len(found)
    assert any('release="task-manager"' in line for line in found)


@pytest.mark.parametrize("path", fields("deployments"), ids=str)
def test_any_field_of_a_workload_may_be_missing(path: tuple[object, ...]) -> None:
    assert of_workloads(changed(OBJECTS["deployments"], path))


def test_a_revision_that_tells_no_release_is_counted() -> None:
    raw = copy.deepcopy(OBJECTS["secrets"][:1])
    raw[0]["metadata"] = {"namespace": "default", "name": "else", "labels": {"owner": "helm"}}
    assert of_secrets(raw) == ["kpi_helm_revisions_unreadable{} 1"]


def test_a_status_that_nobody_listed_becomes_other() -> None:
    raw = copy.deepcopy(OBJECTS["secrets"][:1])
    raw[0]["metadata"]["labels"]["status"] = "half-done"  # type: ignore[index]  # JSON
    assert of_secrets(raw)[0] == f'kpi_helm_release_status{{{STUCK},status="Other"}} 1'


async def test_only_metadata_is_asked_for() -> None:
    clients = FakeClients()
    storages = ("secrets", "configmaps")
    clients.kube.objects |= {f"/api/v1/{storage}": OBJECTS["secrets"] for storage in storages}
    clients.kube.objects |= dict.fromkeys(
        (f"/apis/apps/v1/{kind}" for kind in ("deployments", "statefulsets", "daemonsets")), ()
    )
    for storage in storages:
        for source in SPEC.sources(Settings.model_validate({"storage": storage}), clients):
            assert isinstance(source, PolledSource)
            await source.collect()
    assert {verb for verb, _, _ in clients.kube.asked} == {"metadata"}
    for storage in storages:
        asked = ("metadata", f"/api/v1/{storage}", {"labelSelector": "owner=helm"})
        assert clients.kube.asked.count(asked) == 2, "four revisions are two pages"


async def test_charts_are_shown_also_where_secrets_may_not_be_listed() -> None:
    clients = FakeClients()
    clients.kube.objects["/api/v1/secrets"] = PermanentError("forbidden")
    clients.kube.objects["/apis/apps/v1/deployments"] = OBJECTS["deployments"]
    clients.kube.objects["/apis/apps/v1/statefulsets"] = ()
    clients.kube.objects["/apis/apps/v1/daemonsets"] = ()
    stored, workloads = SPEC.sources(Settings(), clients)
    assert isinstance(stored, PolledSource)
    assert isinstance(workloads, PolledSource)
    with pytest.raises(PermanentError, match="forbidden"):
        await stored.collect()
    assert len((await workloads.collect()).samples) == 2
