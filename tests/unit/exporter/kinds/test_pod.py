"""Pods: what their words become, and the restarts of their workloads."""

import copy
from collections.abc import Iterable

import msgspec
from typing_extensions import override

from exporter.contract import Reading, Sample
from exporter.kinds import pod
from exporter.watch.objects import Pod
from exporter.watch.pods import PodRecord, pod_record
from tests.fake_clients import FakeClock
from tests.kube_cases import decoded, recorded, replica_sets
from tests.published import Page, lines

CRASHING = recorded("pods")[1]
SUBJECT = ("shop", "crashing", "deployment")


class Counting(Page):
    """Counts how often a workload's values were put."""

    def __init__(self) -> None:
        super().__init__()
        self.told = 0

    @override
    def put(self, key: str, samples: Iterable[Sample], readings: Iterable[Reading] = ()) -> None:
        super().put(key, samples, readings)
        self.told += bool(self.readings[key])


def crashing(uid: str, restarts: int, *, ready: bool = False, ends: bool = False) -> PodRecord:
    """Return the recorded pod as another one, whose first container restarted so often today."""
    raw = copy.deepcopy(CRASHING)
    raw["metadata"]["uid"] = uid  # type: ignore[index]  # JSON
    raw["metadata"]["creationTimestamp"] = "2026-01-05T08:00:00Z"  # type: ignore[index]  # JSON
    del raw["status"]["containerStatuses"][1]  # type: ignore[index]  # JSON
    raw["status"]["containerStatuses"][0]["restartCount"] = restarts  # type: ignore[index]  # JSON
    raw["status"]["containerStatuses"][0]["lastState"] = {}  # type: ignore[index]  # JSON
    conditions = [{"type": "Ready", "status": str(ready)}]
    raw["status"]["conditions"] = conditions  # type: ignore[index]  # JSON
    if ends:
        raw["metadata"]["deletionTimestamp"] = "2026-01-05T09:00:00Z"  # type: ignore[index]  # JSON
    return pod_record(decoded(Pod, raw), replica_sets())


def test_reasons_that_nobody_listed_become_other() -> None:
    raw = copy.deepcopy(CRASHING)
    raw["status"]["reason"] = "Moonshine"  # type: ignore[index]  # JSON
    eater, failing = raw["status"]["containerStatuses"]  # type: ignore[index]  # JSON
    eater["state"]["terminated"]["reason"] = "runc: exec format error #4711"
    failing["state"]["waiting"]["reason"] = "the runtime says #4711"
    failing["lastState"]["terminated"].pop("reason")
    page = lines(pod.METRICS, pod.samples(pod_record(decoded(Pod, raw), {})))
    others = [line.partition("{")[0] for line in page if 'reason="Other"' in line]
    assert others == [
        "kpi_pod_reason",
        "kpi_pod_container_waiting_reason",
        "kpi_pod_container_terminated_reason",
        "kpi_pod_container_last_terminated_reason",
    ]
    assert "4711" not in "".join(page)


def test_a_completed_container_is_in_no_trouble() -> None:
    raw = copy.deepcopy(recorded("pods")[3])
    (status,) = raw["status"]["containerStatuses"]  # type: ignore[index]  # JSON
    status["state"]["terminated"] |= {"reason": "Completed", "exitCode": 0}
    page = lines(pod.METRICS, pod.samples(pod_record(decoded(Pod, raw), {})))
    assert not any("terminated_reason" in line for line in page)


def test_restarts_per_day_are_read_for_a_workload_until_its_last_pod_goes() -> None:
    page, clock = Page(), FakeClock()
    publisher = pod.PodPublisher(page, clock)
    publisher.begin()
    publisher.on_object(crashing("p1", 0))
    publisher.on_object(crashing("p2", 1))
    publisher.sweep()
    assert page.read("restarts_per_day") == {SUBJECT: 1.0}
    publisher.on_object(crashing("p1", 2))
    assert page.read("restarts_per_day") == {SUBJECT: 3.0}
    clock.advance(25 * 3600)
    publisher.alive()
    assert page.read("restarts_per_day") == {SUBJECT: 0.0}
    publisher.on_delete("p1")
    assert set(page.samples) == {"p2", "workload/" + "/".join(SUBJECT)}
    publisher.on_delete("p2")
    assert page.samples == {}


def test_unready_pods_are_read_for_a_workload_until_its_last_pod_goes() -> None:
    page = Page()
    publisher = pod.PodPublisher(page, FakeClock())
    publisher.begin()
    for uid in ("p1", "p2", "p3"):
        publisher.on_object(crashing(uid, 0))
    publisher.sweep()
    assert page.read("unready_pods") == {SUBJECT: 3.0}
    publisher.on_object(crashing("p1", 0, ready=True))
    assert page.read("unready_pods") == {SUBJECT: 2.0}
    publisher.on_object(crashing("p2", 0, ends=True))
    assert page.read("unready_pods") == {SUBJECT: 1.0}
    publisher.on_delete("p3")
    assert page.read("unready_pods") == {SUBJECT: 0.0}
    publisher.on_delete("p2")
    publisher.on_delete("p1")
    assert page.read("unready_pods") == {}


def test_a_pod_that_turns_out_to_be_of_no_workload_is_no_longer_counted() -> None:
    page = Page()
    publisher = pod.PodPublisher(page, FakeClock())
    publisher.on_object(crashing("p1", 0))
    nobodys = msgspec.structs.replace(crashing("p1", 0), workload="", workload_type="")
    publisher.on_object(nobodys)
    assert page.read("unready_pods") == {SUBJECT: 0.0}


def test_a_pod_that_changes_tells_of_its_workload_only_where_that_has_changed() -> None:
    page = Counting()
    publisher = pod.PodPublisher(page, FakeClock())
    for _ in range(3):
        publisher.on_object(crashing("p1", 0))
    assert page.told == 1
    publisher.on_object(crashing("p1", 0, ready=True))
    assert page.told == 2
