import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

import exporter.morning
from exporter.app import collectors, families
from exporter.kpi import CATALOGUE
from exporter.morning.examine import examine
from exporter.morning.finding import MOST, Finding, Mark, exit_code
from exporter.morning.observed import Observed, Page
from exporter.shared.errors import PermanentError

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
Rows = Sequence[Mapping[str, object]]

FEEDS = {"error_ratio": ["app_metrics"], "throughput": ["app_metrics"]}
WEB = 'namespace="default",workload="web",workload_type="deployment"'
UP = "".join(
    f'kpi_source_up{{collector="{name}",source="s"}} 1\n'
    for name in ("kubernetes", "usage", "http_probe", "postgres", "app_metrics")
)


def examined(text: str, section: str, events: Rows | None = None) -> list[Finding]:
    found = examine(Observed(Page(text), NOW, events), FEEDS)
    return [each for each in found if each.section == section]


def findings(text: str, section: str, events: Rows | None = None) -> list[tuple[Mark, str, str]]:
    found = examined(text, section, events)
    return [(each.mark, each.subject, each.text) for each in found]


def ago(seconds: float) -> float:
    return NOW.timestamp() - seconds


def pod(name: str, phase: str, ready: int, waiting: str = "") -> str:
    of = f'namespace="default",pod="{name}"'
    lines = [f'kpi_pod_phase{{{of},phase="{phase}"}} 1', f"kpi_pod_ready{{{of}}} {ready}"]
    if waiting:
        lines.append(f'kpi_pod_container_waiting_reason{{{of},reason="{waiting}"}} 1')
    return "\n".join(lines) + "\n"


def test_succeeded_is_healthy_and_running_but_not_ready_is_not() -> None:
    text = UP + pod("job", "Succeeded", 0) + pod("web-1", "Running", 1)
    assert findings(text, "Pods") == [(Mark.GOOD, "2", "all healthy")]
    text += pod("web-2", "Running", 0, "CrashLoopBackOff") + pod("web-3", "Pending", 0)
    assert findings(text, "Pods") == [
        (Mark.BAD, "default/web-2", "Running, not ready (CrashLoopBackOff)"),
        (Mark.BAD, "default/web-3", "Pending"),
    ]


def test_a_pod_that_crashes_tells_how_often_and_where_its_log_is() -> None:
    of = 'namespace="default",pod="web-1",container="web"'
    text = UP + pod("web-1", "Running", 0, "CrashLoopBackOff")
    text += f"kpi_pod_container_restarts_total{{{of}}} 7\n"
    text += f'kpi_pod_container_last_terminated_reason{{{of},reason="OOMKilled"}} 1\n'
    [found] = examined(text, "Pods")
    why = "CrashLoopBackOff, last ended: OOMKilled, 7 restarts"
    assert found.text == f"Running, not ready ({why})"
    assert found.step == "kubectl logs -n default web-1 --previous"


@pytest.mark.parametrize(
    ("age", "waiting", "restarts", "mark"),
    [
        (20, "ContainerCreating", 0, Mark.SHOWN),
        (20, "", 0, Mark.SHOWN),
        (70, "ContainerCreating", 0, Mark.BAD),
        (20, "ImagePullBackOff", 0, Mark.BAD),
        (20, "", 1, Mark.BAD),
    ],
)
def test_a_pod_may_take_a_minute_to_start_if_nothing_is_wrong_with_it(
    age: float, waiting: str, restarts: int, mark: Mark
) -> None:
    of = 'namespace="default",pod="new"'
    text = UP + pod("new", "Pending", 0, waiting) + pod("old", "Running", 1)
    text += f"kpi_pod_created_timestamp_seconds{{{of}}} {ago(age)}\n"
    text += f'kpi_pod_container_restarts_total{{{of},container="web"}} {restarts}\n'
    assert [found.mark for found in examined(text, "Pods") if found.subject == "default/new"] == [
        mark
    ]


def test_a_failed_pod_is_bad_however_new_it_is() -> None:
    text = UP + pod("job", "Failed", 0)
    text += f'kpi_pod_created_timestamp_seconds{{namespace="default",pod="job"}} {ago(1)}\n'
    assert [mark for mark, _, _ in findings(text, "Pods")] == [Mark.BAD]


def test_many_pods_in_trouble_are_counted_and_not_listed_without_end() -> None:
    text = UP + "".join(pod(f"web-{number}", "Failed", 0) for number in range(MOST + 5))
    found = findings(text, "Pods")
    assert len(found) == MOST + 1
    assert found[-1] == (Mark.BAD, "5 more", "not shown one by one")


def service(name: str, addresses: int, ready: int | None = None) -> str:
    of = f'namespace="default",service_name="{name}"'
    text = f"kpi_load_balancer_addresses{{{of}}} {addresses}\n"
    for number in range(addresses):
        text += f'kpi_load_balancer_info{{{of},address="lb-{number}.example"}} 1\n'
    return text + ("" if ready is None else f"kpi_service_endpoints_ready{{{of}}} {ready}\n")


def test_a_load_balancer_tells_its_addresses_and_one_without_any_is_bad() -> None:
    text = UP + service("front", 2, 3) + service("new", 0) + service("empty", 1, 0)
    assert findings(text, "Services") == [
        (Mark.GOOD, "default/front", "lb-0.example, lb-1.example"),
        (Mark.BAD, "default/new", "its load balancer has no address"),
        (Mark.BAD, "default/empty", "no pod behind it takes traffic"),
    ]
    assert all(each.step for each in examined(text, "Services") if each.mark is Mark.BAD)


def test_no_load_balancer_is_told_apart_from_not_knowing() -> None:
    assert findings(UP, "Services") == [(Mark.UNKNOWN, "", "nothing is known")]
    text = UP + 'kpi_source_up{collector="kubernetes",source="services"} 1\n'
    assert findings(text, "Services") == [(Mark.SHOWN, "", "none of type LoadBalancer")]


def used(node: str, cpu: float, memory: float) -> str:
    of = f'node="{node}"'
    return (
        f"kpi_node_cpu_usage_cores{{{of}}} 1\nkpi_node_cpu_ratio{{{of}}} {cpu}\n"
        f"kpi_node_memory_ratio{{{of}}} {memory}\n"
        f'kpi_within_target{{kpi="node_cpu_ratio",{of}}} {int(cpu < 0.7)}\n'
        f'kpi_within_target{{kpi="node_memory_ratio",{of}}} {int(memory < 0.8)}\n'
    )


def test_nodes_are_shown_busiest_first_against_their_targets_and_judged_once() -> None:
    target = 'kpi_target{kpi="node_cpu_ratio",comparison="below"} 0.7\n'
    text = UP + target + used("idle", 0.1, 0.2) + used("full", 0.9, 0.2)
    assert findings(text, "Top nodes") == [
        (Mark.BAD, "full", "CPU 90.00 % (target < 70.00 %), memory 20.00 %"),
        (Mark.GOOD, "idle", "CPU 10.00 % (target < 70.00 %), memory 20.00 %"),
    ]
    assert [found for found in findings(text, "KPIs") if found[1].startswith("Node CPU")] == []


def test_the_ten_pods_that_hold_the_most_memory_are_shown_with_their_limit() -> None:
    text = UP
    for number in range(12):
        of = f'namespace="default",pod="web-{number}"'
        text += f"kpi_pod_memory_usage_bytes{{{of}}} {number * 1024 * 1024}\n"
    of = 'namespace="default",pod="web-11"'
    text += f"kpi_pod_memory_limits_bytes{{{of}}} {22 * 1024 * 1024}\n"
    text += f"kpi_pod_cpu_usage_cores{{{of}}} 0.012\n"
    found = findings(text, "Top pods")
    assert found[0] == (Mark.SHOWN, "default/web-11", "11.0 MiB (50 % of its limit), CPU 12m")
    assert [subject for _, subject, _ in found][-1] == "default/web-2"


def event(at: str, **other: object) -> Mapping[str, object]:
    shown = {"severity": "Normal", "namespace": "default", "object": "Pod/web-1", "count": 1}
    return {**shown, "at": at, "reason": "Started", "message": "Started it", **other}


def test_the_last_ten_events_are_shown_with_the_newest_at_the_end() -> None:
    rows = [event(f"2026-03-02T06:{minute:02}:00+00:00") for minute in range(40, 52)]
    late = {"severity": "Warning", "reason": "BackOff", "count": 5, "message": "Back-off"}
    rows.insert(0, event("2026-03-02T06:58:00+00:00", **late))
    found = findings(UP, "Events", rows)
    assert len(found) == 10
    assert found[-1] == (
        Mark.SHOWN,
        "default/Pod/web-1",
        "2m ago: Warning BackOff, 5 times: Back-off",
    )
    assert {mark for mark, _, _ in found} == {Mark.SHOWN}


@pytest.mark.parametrize("row", [{}, {"at": "soon", "count": "many", "object": None}])
def test_an_event_without_what_an_event_has_is_shown_all_the_same(row: dict[str, object]) -> None:
    assert [mark for mark, _, _ in findings(UP, "Events", [row])] == [Mark.SHOWN]


def test_events_that_could_not_be_read_are_not_no_events() -> None:
    up = UP + 'kpi_source_up{collector="kubernetes",source="events"} 1\n'
    assert findings(up, "Events", None) == [(Mark.UNKNOWN, "", "the exporter does not show them")]
    assert findings(up, "Events", []) == [(Mark.SHOWN, "", "none")]
    assert findings(UP, "Events", []) == [(Mark.UNKNOWN, "", "nothing is known")]


def test_a_node_in_trouble_is_bad_also_while_it_is_ready() -> None:
    text = UP + 'kpi_node_ready{node="a"} 1\nkpi_node_ready{node="b"} 0\n'
    text += 'kpi_node_condition{node="a",condition="DiskPressure"} 1\n'
    text += 'kpi_node_condition{node="b",condition="DiskPressure"} 0\n'
    assert findings(text, "Nodes") == [
        (Mark.BAD, "a", "DiskPressure"),
        (Mark.BAD, "b", "is not ready"),
    ]


def test_the_api_server_tells_which_of_its_checks_fail() -> None:
    text = UP + 'kpi_apiserver_ready 0\nkpi_apiserver_check_ok{check="etcd"} 0\n'
    text += 'kpi_apiserver_check_ok{check="ping"} 1\nkpi_dns_lookup_success{name="db"} 0\n'
    assert findings(text, "Control plane") == [
        (Mark.BAD, "API server", "is not ready (etcd)"),
        (Mark.BAD, "db", "cannot be looked up"),
    ]


def test_a_node_that_is_not_ready_is_bad_and_a_cordoned_one_is_shown() -> None:
    text = UP + 'kpi_node_ready{node="a"} 1\nkpi_node_unschedulable{node="a"} 1\n'
    assert findings(text, "Nodes") == [
        (Mark.GOOD, "1", "all ready"),
        (Mark.SHOWN, "a", "takes no new pods"),
    ]
    text += 'kpi_node_ready{node="b"} 0\n'
    assert (Mark.BAD, "b", "is not ready") in findings(text, "Nodes")


def test_probes_and_databases_tell_what_they_saw() -> None:
    text = UP + (
        'kpi_probe_success{probe="web"} 1\nkpi_probe_duration_seconds{probe="web"} 0.012\n'
        'kpi_probe_success{probe="old"} 0\nkpi_probe_status_code{probe="old"} 503\n'
        'kpi_probe_failure_reason{probe="old",reason="status"} 1\n'
        'kpi_probe_success{probe="gone"} 0\n'
        'kpi_probe_failure_reason{probe="gone",reason="too_long"} 1\n'
        'kpi_probe_skipped_reason{probe="front",reason="load_balancer_pending"} 1\n'
        'kpi_probe_suspect{probe="web"} 0\nkpi_probe_suspect{probe="late"} 1\n'
        'kpi_postgres_up{database="main"} 1\nkpi_postgres_up{database="other"} 0\n'
        'kpi_postgres_connections_used{database="main"} 12\n'
        'kpi_postgres_max_connections{database="main"} 97\n'
        'kpi_postgres_slow_queries_running{database="main"} 2\n'
        'kpi_postgres_oldest_transaction_seconds{database="main"} 180\n'
        'kpi_postgres_blocked_connections{database="main"} 1\n'
    )
    assert findings(text, "Probes") == [
        (Mark.GOOD, "web", "answers in 12 ms"),
        (Mark.BAD, "old", "answers with status 503"),
        (Mark.BAD, "gone", "does not answer (too long)"),
        (Mark.UNKNOWN, "front", "cannot be probed (load balancer pending)"),
        (Mark.UNKNOWN, "late", "not known: the exporter itself was held up"),
    ]
    working = "2 slow queries, oldest transaction 3m, 1 session waiting for a lock"
    assert findings(text, "Databases") == [
        (
            Mark.GOOD,
            "main",
            f"is up, 12 of 97 connections used, {working}",
        ),
        (Mark.BAD, "other", "cannot be reached"),
    ]


def test_a_kpi_is_judged_by_what_the_exporter_says_and_never_guessed() -> None:
    target = 'kpi_target{kpi="error_ratio",comparison="below"} 0.01\n'
    assert findings(UP + target, "KPIs")[0] == (Mark.UNKNOWN, "Error ratio", "not known")
    for value, within, mark in ((0.002, 1, Mark.GOOD), (0.05, 0, Mark.BAD)):
        text = UP + target + f"kpi_error_ratio{{{WEB}}} {value}\n"
        text += f'kpi_within_target{{kpi="error_ratio",{WEB}}} {within}\n'
        shown = f"{value * 100:.2f} % (target < 1.00 %)"
        assert findings(text, "KPIs")[0] == (mark, "Error ratio, default/web", shown)
    text = UP + f"kpi_throughput{{{WEB}}} 5\n"
    shown = "5.0 requests/s"
    assert findings(text, "KPIs")[1] == (Mark.SHOWN, "Throughput, default/web", shown)


def test_pods_that_are_not_ready_are_told_one_by_one_and_not_counted_again() -> None:
    kpi = f'kpi_unready_pods{{{WEB}}} 1\nkpi_within_target{{kpi="unready_pods",{WEB}}} 0\n'
    kpi += 'kpi_target{kpi="unready_pods",comparison="below"} 1\n'
    of = 'namespace="default",pod="web-2"'
    young = pod("web-2", "Pending", 0) + f"kpi_pod_created_timestamp_seconds{{{of}}} {ago(5)}\n"
    found = examine(Observed(Page(UP + kpi + young), NOW), FEEDS)
    assert [each.subject for each in found if each.mark is Mark.BAD] == []
    assert not any("Pods not ready" in each.subject + each.text for each in found)
    # Where the pods themselves are not on the page, the number is all there is.
    assert (Mark.BAD, "Pods not ready, default/web", "1 (target < 1)") in findings(UP + kpi, "KPIs")


def test_a_kpi_stands_beside_what_it_was() -> None:
    text = UP + f"kpi_error_ratio{{{WEB}}} 0.002\n"
    for then, told in ((0.001, "0.20 %, was 0.10 %"), (0.002001, "0.20 %")):
        before = {"error_ratio default/web": then, "error_ratio default/other": 0.5}
        found = examine(Observed(Page(text), NOW), FEEDS, before)
        [web] = [each for each in found if each.subject == "Error ratio, default/web"]
        assert (web.text, web.told) == ("0.20 %", told)


def test_what_no_enabled_collector_measures_is_one_line() -> None:
    [(mark, _, text)] = findings("", "KPIs")
    assert mark is Mark.SHOWN
    assert all(kpi.title in text for kpi in CATALOGUE.values())


def test_a_part_that_is_not_enabled_is_shown_and_one_that_tells_nothing_is_unknown() -> None:
    assert {mark for mark, _, _ in findings("", "Pods")} == {Mark.SHOWN}
    assert findings(UP, "Pods") == [(Mark.UNKNOWN, "", "nothing is known")]


def test_a_source_that_does_not_work_leaves_something_unknown() -> None:
    page = Page('kpi_source_up{collector="postgres",source="main"} 0\n')
    for errors, text in (
        ({}, "does not work"),
        ({"postgres/main": "password"}, "does not work (password)"),
    ):
        found = examine(Observed(page, NOW, None, errors), FEEDS)
        [source] = [each for each in found if each.section == "Sources"]
        assert (source.mark, source.subject) == (Mark.UNKNOWN, "postgres/main")
        assert source.text == text


@pytest.mark.parametrize(
    ("marks", "code"),
    [
        ([], 0),
        ([Mark.GOOD, Mark.SHOWN], 0),
        ([Mark.GOOD, Mark.UNKNOWN], 3),
        ([Mark.UNKNOWN, Mark.BAD], 1),
    ],
)
def test_the_exit_code_is_the_worst_that_was_found(marks: list[Mark], code: int) -> None:
    assert exit_code(Finding(mark, "", "", "") for mark in marks) == code


def test_the_check_reads_only_series_that_the_exporter_publishes() -> None:
    folder = Path(exporter.morning.__path__[0])
    code = "".join(file.read_text() for file in sorted(folder.glob("*.py")))
    named = set(re.findall(r'"(kpi_\w+)"', code))
    assert len(named) > 40
    published = {metric.name for metric in families(collectors())}
    assert named <= published
    assert {kpi.metric for kpi in CATALOGUE.values()} <= published


def test_what_is_no_page_of_metrics_is_told_so() -> None:
    with pytest.raises(PermanentError, match="no page of metrics"):
        Page("<html>a login page</html>")
