"""The collector on objects in the shape that a Kubernetes 1.37 API server gives them."""

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from exporter.contract import Reading, Sample
from exporter.kinds import node as nodes
from exporter.kinds import pod as pods
from exporter.kinds.pod import PodPublisher
from exporter.kinds.workload import (
    DeploymentPublisher,
    daemon_set_samples,
    deployment_samples,
    stateful_set_samples,
)
from exporter.watch.nodes import node_record
from exporter.watch.objects import DaemonSet, Deployment, Node, Pod, ReplicaSet, StatefulSet
from exporter.watch.pods import pod_record, replica_set_record
from tests.json_fields import changed, paths

DATA = Path(__file__).with_name("kubernetes_objects.json")
OBJECTS: dict[str, dict[str, object]] = json.loads(DATA.read_text())
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class StoppedClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, duration: timedelta) -> None:
        self.at += duration


class Page:
    """A publisher that holds what would be on the page."""

    def __init__(self) -> None:
        self.samples: dict[str, list[str]] = {}
        self.readings: dict[str, list[Reading]] = {}
        self._put: set[str] = set()

    def put(self, key: str, samples: Iterable[Sample], readings: Iterable[Reading] = ()) -> None:
        self.samples[key] = written(samples)
        self.readings[key] = list(readings)
        self._put.add(key)

    def delete(self, key: str) -> None:
        self.samples.pop(key, None)
        self.readings.pop(key, None)

    def begin(self) -> None:
        self._put = set()

    def sweep(self) -> None:
        for key in self.samples.keys() - self._put:
            self.delete(key)

    def show(self, topic: str, rows: Sequence[Mapping[str, object]]) -> None:
        raise AssertionError(topic, rows)

    def alive(self) -> None:
        pass

    def failed(self, reason: str) -> None:
        raise AssertionError(reason)

    def restarts(self) -> dict[str, float]:
        """Return the KPI's readings by workload."""
        readings = [one for many in self.readings.values() for one in many]
        assert {one.kpi for one in readings} <= {"restarts_per_day"}
        return {dict(one.subject)["workload"]: one.value for one in readings}


def written(samples: Iterable[Sample]) -> list[str]:
    """Write samples as the exposition does, near enough to read."""
    lines = []
    for sample in samples:
        pairs = zip(sample.metric.labels, sample.labels, strict=True)
        labels = ",".join(f'{name}="{value}"' for name, value in pairs)
        lines.append(f"{sample.metric.name}{{{labels}}} {sample.value:g}")
    return lines


def node(raw: object) -> list[str]:
    return written(nodes.samples(node_record(msgspec.convert(raw, Node))))


def pod(raw: object) -> list[str]:
    return written(pods.samples(pod_record(msgspec.convert(raw, Pod), {})))


def replica_set(raw: object) -> list[str]:
    """Write the Deployment as this ReplicaSet makes it."""
    deployment = msgspec.convert(OBJECTS["deployment"], Deployment)
    record = replica_set_record(msgspec.convert(raw, ReplicaSet))
    return written(deployment_samples(deployment, [record]))


def deployment(raw: object) -> list[str]:
    record = replica_set_record(msgspec.convert(OBJECTS["replica_set"], ReplicaSet))
    return written(deployment_samples(msgspec.convert(raw, Deployment), [record]))


def stateful_set(raw: object) -> list[str]:
    return written(stateful_set_samples(msgspec.convert(raw, StatefulSet)))


def daemon_set(raw: object) -> list[str]:
    return written(daemon_set_samples(msgspec.convert(raw, DaemonSet)))


KINDS: dict[str, Callable[[object], list[str]]] = {
    "node": node,
    "pod": pod,
    "replica_set": replica_set,
    "deployment": deployment,
    "stateful_set": stateful_set,
    "daemon_set": daemon_set,
}


def test_a_node_is_described() -> None:
    lines = node(OBJECTS["node"])
    assert 'kpi_node_ready{node="node-1"} 1' in lines
    assert 'kpi_node_condition{node="node-1",condition="MemoryPressure"} 0' in lines
    assert 'kpi_node_unschedulable{node="node-1"} 1' in lines
    assert 'kpi_node_memory_allocatable_bytes{node="node-1"} 2.57698e+10' in lines


def test_a_pod_is_described_with_its_containers() -> None:
    name = 'namespace="default",pod="task-manager-5d4f8c7b9-x2x4z"'
    owner = 'workload="task-manager",workload_type="deployment"'
    main = f'{name},container="task-manager",{owner}'
    assert pod(OBJECTS["pod"]) == [
        f'kpi_pod_info{{{name},{owner},node="node-1"}} 1',
        f'kpi_pod_phase{{{name},phase="Running"}} 1',
        f"kpi_pod_ready{{{name},{owner}}} 0",
        f"kpi_pod_created_timestamp_seconds{{{name},{owner}}} 1.79543e+09",
        f'kpi_pod_container_restarts_total{{{name},container="migrate",{owner}}} 0',
        f"kpi_pod_container_restarts_total{{{main}}} 4",
        f'kpi_pod_container_waiting_reason{{{main},reason="CrashLoopBackOff"}} 1',
        f'kpi_pod_container_last_terminated_reason{{{main},reason="OOMKilled"}} 1',
    ]


def test_a_deployment_is_described_with_its_wanted_template() -> None:
    labels = 'namespace="default",workload="task-manager",workload_type="deployment"'
    created = datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp()
    started = datetime(2026, 11, 23, 9, 59, 59, tzinfo=UTC).timestamp()
    assert deployment(OBJECTS["deployment"]) == [
        f"kpi_workload_replicas_desired{{{labels}}} 3",
        f"kpi_workload_replicas_available{{{labels}}} 2",
        f"kpi_workload_replicas_updated{{{labels}}} 3",
        f"kpi_workload_generation_lag{{{labels}}} 1",
        f"kpi_workload_paused{{{labels}}} 0",
        f"kpi_workload_rollout_in_progress{{{labels}}} 1",
        f"kpi_workload_created_timestamp_seconds{{{labels}}} {created:g}",
        f'kpi_workload_template_info{{{labels},template_hash="5d4f8c7b9",revision="7"}} 1',
        f"kpi_workload_rollout_started_timestamp_seconds{{{labels}}} {started:g}",
    ]


def test_stateful_sets_and_daemon_sets_are_described() -> None:
    labels = 'namespace="default",workload="postgres",workload_type="statefulset"'
    lines = stateful_set(OBJECTS["stateful_set"])
    assert f"kpi_workload_rollout_in_progress{{{labels}}} 0" in lines
    hashes = 'template_hash="postgres-6b9",revision="postgres-6b9"'
    assert f"kpi_workload_template_info{{{labels},{hashes}}} 1" in lines
    labels = 'namespace="kube-system",workload="agent",workload_type="daemonset"'
    lines = daemon_set(OBJECTS["daemon_set"])
    assert f"kpi_workload_rollout_in_progress{{{labels}}} 1" in lines
    assert f"kpi_workload_replicas_desired{{{labels}}} 2" in lines


EVERY_FIELD = [(kind, path) for kind in KINDS for path in paths(OBJECTS[kind])]


@pytest.mark.parametrize(("kind", "path"), EVERY_FIELD, ids=str)
def test_any_field_may_be_missing(kind: str, path: tuple[object, ...]) -> None:
    whole = KINDS[kind](OBJECTS[kind])
    lines = KINDS[kind](changed(OBJECTS[kind], path))
    assert lines
    assert len(lines) <= len(whole) + 1  # an end without its reason is no completion
    assert len(set(lines)) == len(lines)


NEVER_NULL = frozenset(
    {"metadata", "name", "namespace", "uid", "kind", "resourceVersion", "generation", "spec"}
    | {"status", "type", "updateStrategy", "nodeInfo", "kubeletVersion", "restartCount"}
    | {"containerRuntimeVersion", "effect", "cpu", "memory", "pods"}
)
"""Go writes these as values, or leaves them out; so it does with the counts of a status."""


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (kind, path)
        for kind, path in EVERY_FIELD
        if path[-1] not in NEVER_NULL
        and path[-2:-1] not in (("labels",), ("annotations",))
        and (kind in ("node", "pod") or path[0] != "status")
    ],
    ids=str,
)
def test_what_may_be_left_out_may_be_null(kind: str, path: tuple[object, ...]) -> None:
    missing, null = (changed(OBJECTS[kind], path, to_null=to_null) for to_null in (False, True))
    assert KINDS[kind](null) == KINDS[kind](missing)


def test_reasons_that_nobody_listed_become_other() -> None:
    raw = copy.deepcopy(OBJECTS["pod"])
    (status,) = raw["status"]["containerStatuses"]  # type: ignore[index]  # JSON
    status["state"]["waiting"]["reason"] = "runc: exec format error #4711"
    status["lastState"]["terminated"].pop("reason")
    lines = pod(raw)
    assert 'reason="Other"' in lines[-1]
    assert 'reason="Other"' in lines[-2]
    assert "4711" not in "".join(lines)


def a_pod(uid: str, restarts: int) -> Pod:
    raw = copy.deepcopy(OBJECTS["pod"])
    raw["metadata"]["uid"] = uid  # type: ignore[index]  # JSON
    raw["status"]["containerStatuses"][0]["restartCount"] = restarts  # type: ignore[index]  # JSON
    return msgspec.convert(raw, Pod)


def test_restarts_per_day_are_read_for_a_workload_until_its_last_pod_goes() -> None:
    page, clock = Page(), StoppedClock()
    publisher = PodPublisher(page, clock)
    publisher.begin()
    publisher.on_object(pod_record(a_pod("p1", 0), {}))
    publisher.on_object(pod_record(a_pod("p2", 1), {}))
    publisher.sweep()
    assert page.restarts() == {"task-manager": 1.0}
    publisher.on_object(pod_record(a_pod("p1", 2), {}))
    assert page.restarts() == {"task-manager": 3.0}
    clock.at += timedelta(hours=25)
    publisher.alive()
    assert page.restarts() == {"task-manager": 0.0}
    publisher.on_delete("p1")
    assert set(page.samples) == {"p2", "restarts/default/task-manager/deployment"}
    publisher.on_delete("p2")
    assert page.samples == {}


def test_a_deployment_is_published_again_with_each_of_its_replica_sets() -> None:
    page = Page()
    deployments = DeploymentPublisher(page)
    deployments.on_object(msgspec.convert(OBJECTS["deployment"], Deployment))
    assert "template_hash" not in "".join(page.samples["d-1"])
    record = replica_set_record(msgspec.convert(OBJECTS["replica_set"], ReplicaSet))
    deployments.replica_sets.on_object(record)
    assert 'template_hash="5d4f8c7b9"' in "".join(page.samples["d-1"])
    deployments.replica_sets.on_delete("rs-1")
    assert "template_hash" not in "".join(page.samples["d-1"])


def test_a_replica_set_does_not_bring_back_a_deployment_that_is_gone() -> None:
    page = Page()
    deployments = DeploymentPublisher(page)
    deployments.on_object(msgspec.convert(OBJECTS["deployment"], Deployment))
    deployments.begin()
    record = replica_set_record(msgspec.convert(OBJECTS["replica_set"], ReplicaSet))
    deployments.replica_sets.on_object(record)
    assert set(page.samples) == {"d-1"}
    deployments.sweep()
    deployments.replica_sets.on_delete("rs-1")
    assert page.samples == {}
