import inspect
import re

import pytest

from exporter import check
from exporter.app import collectors, families
from exporter.check import Finding, Mark, Page, examine, exit_code
from exporter.kpi import CATALOGUE
from exporter.shared.errors import PermanentError

FEEDS = {"error_ratio": ["app_metrics"], "throughput": ["app_metrics"]}
WEB = 'namespace="default",workload="web",workload_type="deployment"'
UP = "".join(
    f'kpi_source_up{{collector="{name}",source="s"}} 1\n'
    for name in ("kubernetes", "http_probe", "postgres", "app_metrics")
)


def findings(text: str, section: str) -> list[tuple[Mark, str, str]]:
    found = examine(Page(text), FEEDS)
    return [(each.mark, each.subject, each.text) for each in found if each.section == section]


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
    )
    assert findings(text, "Probes") == [
        (Mark.GOOD, "web", "answers in 12 ms"),
        (Mark.BAD, "old", "answers with status 503"),
        (Mark.BAD, "gone", "does not answer (too long)"),
        (Mark.UNKNOWN, "front", "cannot be probed (load balancer pending)"),
        (Mark.UNKNOWN, "late", "not known: the exporter itself was held up"),
    ]
    assert findings(text, "Databases") == [
        (Mark.GOOD, "main", "is up, 12 of 97 connections used"),
        (Mark.BAD, "other", "cannot be reached"),
    ]


def test_a_kpi_is_judged_by_what_the_exporter_says_and_never_guessed() -> None:
    target = 'kpi_target{kpi="error_ratio",comparison="below"} 0.01\n'
    assert findings(UP + target, "KPIs")[1] == (Mark.UNKNOWN, "Error ratio", "not known")
    for value, within, mark in ((0.002, 1, Mark.GOOD), (0.05, 0, Mark.BAD)):
        text = UP + target + f"kpi_error_ratio{{{WEB}}} {value}\n"
        text += f'kpi_within_target{{kpi="error_ratio",{WEB}}} {within}\n'
        shown = f"default/web: {value * 100:.2f} % (target < 1.00 %)"
        assert findings(text, "KPIs")[1] == (mark, "Error ratio", shown)
    text = UP + f"kpi_throughput{{{WEB}}} 5\n"
    shown = "default/web: 5.0 requests/s"
    assert findings(text, "KPIs")[2] == (Mark.SHOWN, "Throughput", shown)


def test_a_part_that_is_not_enabled_is_shown_and_one_that_tells_nothing_is_unknown() -> None:
    assert {mark for mark, _, _ in findings("", "Pods")} == {Mark.SHOWN}
    assert findings(UP, "Pods") == [(Mark.UNKNOWN, "", "nothing is known")]


def test_a_source_that_does_not_work_leaves_something_unknown() -> None:
    text = 'kpi_source_up{collector="postgres",source="main"} 0\n'
    [(mark, subject, _)] = findings(text, "Sources")
    assert (mark, subject) == (Mark.UNKNOWN, "postgres/main")


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
    named = set(re.findall(r'"(kpi_\w+)"', inspect.getsource(check)))
    published = {metric.name for metric in families(collectors())}
    assert named <= published
    assert {kpi.metric for kpi in CATALOGUE.values()} <= published


def test_what_is_no_page_of_metrics_is_told_so() -> None:
    with pytest.raises(PermanentError, match="no page of metrics"):
        Page("<html>a login page</html>")
