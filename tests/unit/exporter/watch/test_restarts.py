from datetime import UTC, datetime, timedelta

from exporter.ports import Resources
from exporter.watch.pods import ContainerRecord, PodRecord
from exporter.watch.restarts import RestartLog

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SUBJECT = (("namespace", "default"), ("workload", "web"), ("workload_type", "deployment"))


NOTHING = Resources(None, None)


def pod(
    restarts: int,
    *,
    uid: str = "u1",
    age: timedelta = timedelta(days=9),
    ended: datetime | None = None,
    workload: str = "web",
) -> PodRecord:
    return PodRecord(
        namespace="default",
        name=uid,
        uid=uid,
        labels={},
        annotations={},
        ip="",
        ready=True,
        deleting=False,
        workload=workload,
        workload_type="deployment" if workload else "",
        phase="Running",
        reason="",
        node="",
        created=NOW - age,
        containers=[
            ContainerRecord("app", restarts, None, None, "Error" if ended else None, ended)
        ],
        requests=NOTHING,
        limits=NOTHING,
        reserved=NOTHING,
        owner=None,
    )


def test_restarts_of_long_ago_are_not_todays() -> None:
    log = RestartLog()
    assert log.observe(pod(17, ended=NOW - timedelta(days=3)), NOW) == SUBJECT
    assert log.per_day(SUBJECT, NOW) == 0


def test_an_old_pod_that_ended_today_restarted_once_at_least() -> None:
    log = RestartLog()
    log.observe(pod(17, ended=NOW - timedelta(hours=3)), NOW)
    assert log.per_day(SUBJECT, NOW) == 1


def test_all_restarts_of_a_pod_of_today_are_todays() -> None:
    log = RestartLog()
    log.observe(pod(4, age=timedelta(hours=2), ended=NOW), NOW)
    assert log.per_day(SUBJECT, NOW) == 4


def test_restarts_are_counted_as_they_happen_and_for_a_day() -> None:
    log = RestartLog()
    log.observe(pod(5), NOW)
    log.observe(pod(5), NOW)
    log.observe(pod(7, ended=NOW), NOW)
    assert log.per_day(SUBJECT, NOW) == 2
    assert log.per_day(SUBJECT, NOW + timedelta(hours=23)) == 2
    assert log.per_day(SUBJECT, NOW + timedelta(hours=24)) == 0


def test_restarts_outlive_their_pod_and_pods_add_up() -> None:
    log = RestartLog()
    log.observe(pod(1, uid="u1", age=timedelta(hours=1)), NOW)
    log.observe(pod(2, uid="u2", age=timedelta(hours=1)), NOW)
    assert log.forget("u1") is None
    assert log.per_day(SUBJECT, NOW) == 3


def test_the_workload_goes_with_its_last_pod() -> None:
    log = RestartLog()
    log.observe(pod(0, uid="u1"), NOW)
    log.observe(pod(0, uid="u2"), NOW)
    assert log.forget("u2") is None
    assert log.forget("u1") == SUBJECT
    assert log.forget("u1") is None


def test_a_pod_whose_workload_is_found_later_counts_for_that_one_once() -> None:
    log = RestartLog()
    assert log.observe(pod(3, age=timedelta(hours=1), workload=""), NOW) is None
    log.observe(pod(3, age=timedelta(hours=1)), NOW)
    log.observe(pod(3, age=timedelta(hours=1)), NOW)
    assert log.per_day(SUBJECT, NOW) == 3
