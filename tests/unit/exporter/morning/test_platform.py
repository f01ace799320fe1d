from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import pytest

from exporter.morning.amounts import DAY, span
from exporter.morning.databases import poolers
from exporter.morning.finding import Finding, Mark
from exporter.morning.observed import Observed, Page
from exporter.morning.platform import aws, backups, certificates, drift, posture, releases

NOW = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
PARTS = (aws, backups, certificates, drift, poolers, posture, releases)


def found(part: Callable[[Observed], Iterable[Finding]], text: str) -> list[tuple[Mark, str, str]]:
    seen = Observed(Page(text), NOW)
    return [(each.mark, each.subject, each.text) for each in part(seen)]


def after(seconds: float) -> float:
    return NOW.timestamp() + seconds


@pytest.mark.parametrize("part", PARTS)
def test_what_is_not_enabled_is_not_mentioned(
    part: Callable[[Observed], Iterable[Finding]],
) -> None:
    assert found(part, "") == []


def test_a_backup_of_yesterday_is_good_an_older_one_bad_and_none_is_worse() -> None:
    text = (
        'kpi_backup_kept{backup="fresh"} 30\nkpi_backup_kept{backup="old"} 29\n'
        'kpi_backup_kept{backup="none"} 0\n'
        f'kpi_backup_newest_timestamp_seconds{{backup="fresh"}} {after(-25 * 3600)}\n'
        f'kpi_backup_newest_timestamp_seconds{{backup="old"}} {after(-27 * 3600)}\n'
    )
    assert found(backups, text) == [
        (Mark.GOOD, "fresh", "the newest is 25h old, 30 kept"),
        (Mark.BAD, "old", "the newest is 27h old, 29 kept"),
        (Mark.BAD, "none", "there is none"),
    ]


def release(name: str, status: str, pending: float | None = None) -> str:
    of = f'namespace="shop",release="{name}"'
    text = f'kpi_helm_release_status{{{of},status="{status}"}} 1\n'
    return text + (
        "" if pending is None else f"kpi_helm_release_pending_seconds{{{of}}} {pending}\n"
    )


def test_a_release_that_failed_or_hangs_is_bad_and_one_under_way_is_shown() -> None:
    text = release("a", "deployed") + release("b", "deployed") + release("c", "failed")
    text += release("d", "pending-upgrade", 1200) + release("e", "pending-upgrade", 30)
    assert found(releases, text) == [
        (Mark.BAD, "shop/c", "failed"),
        (Mark.BAD, "shop/d", "pending-upgrade for 20m"),
        (Mark.SHOWN, "shop/e", "pending-upgrade for 30s"),
        (Mark.GOOD, "2", "deployed"),
    ]


def test_certificates_of_every_kind_are_judged_by_what_is_left_of_them() -> None:
    stored = 'kpi_certificate_expiry_timestamp_seconds{namespace="shop",secret="tls"}'
    server = "kpi_apiserver_certificate_expiry_timestamp_seconds"
    probe = 'kpi_probe_certificate_expiry_timestamp_seconds{probe="shop"}'
    good = f"{stored} {after(80 * DAY)}\n{server} {after(300 * DAY)}\n"
    assert found(certificates, good) == [(Mark.GOOD, "2", "hold for 80d or more")]
    text = f"{stored} {after(13 * DAY)}\n{server} {after(300 * DAY)}\n{probe} {after(-60)}\n"
    assert found(certificates, text) == [
        (Mark.BAD, "probe shop", "has expired"),
        (Mark.BAD, "shop/tls", "ends in 13d"),
    ]


def test_node_groups_and_targets_are_told_by_what_ails_them() -> None:
    group = 'eks_cluster="dev",nodegroup="nodes"'
    text = (
        'kpi_eks_cluster_info{eks_cluster="dev",version="1.29",status="ACTIVE"} 1\n'
        f"kpi_eks_nodegroup_healthy{{{group}}} 0\n"
        f'kpi_eks_nodegroup_health_issues{{{group},code="AccessDenied"}} 1\n'
        'kpi_target_group_registered_targets{target_group="web"} 3\n'
        'kpi_target_group_healthy_targets{target_group="web"} 2\n'
        'kpi_target_group_unhealthy_targets{target_group="web",state="unhealthy",'
        'reason="Target.Timeout"} 1\n'
        'kpi_target_group_registered_targets{target_group="spare"} 0\n'
        'kpi_target_group_healthy_targets{target_group="spare"} 0\n'
    )
    assert found(aws, text) == [
        (Mark.GOOD, "dev", "ACTIVE, version 1.29"),
        (Mark.BAD, "dev/nodes", "AccessDenied"),
        (Mark.BAD, "web", "2 of 3 targets healthy (Target.Timeout)"),
        (Mark.SHOWN, "spare", "0 of 0 targets healthy"),
    ]


def test_drift_is_bad_and_what_is_as_described_is_good() -> None:
    text = (
        'kpi_terraform_drift{directory="env",var_file="dev.tfvars"} 1\n'
        'kpi_terraform_drift{directory="net",var_file=""} 0\n'
    )
    assert found(drift, text) == [
        (Mark.BAD, "env dev.tfvars", "a plan would change something"),
        (Mark.GOOD, "net", "as described"),
    ]


def test_a_pooler_tells_who_waits_in_it() -> None:
    pool = 'pgbouncer="main",database="app",user="web"'
    text = 'kpi_pgbouncer_up{pgbouncer="main"} 1\nkpi_pgbouncer_up{pgbouncer="away"} 0\n'
    gone = (Mark.BAD, "away", "cannot be reached")
    assert found(poolers, text) == [(Mark.GOOD, "main", "is up, no client waits"), gone]
    text += f'kpi_pgbouncer_clients{{{pool},state="waiting"}} 3\n'
    text += f"kpi_pgbouncer_longest_wait_seconds{{{pool}}} 2.4\n"
    shown = "is up, 3 clients waiting, the first for 2s"
    assert found(poolers, text) == [(Mark.GOOD, "main", shown), gone]


def test_the_posture_points_to_its_report() -> None:
    [(mark, _, text)] = found(posture, "kpi_rbac_cluster_admins 1\n")
    assert mark is Mark.SHOWN
    assert text == "1 cluster admin; see `kpi-exporter report --compliance`"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.4, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (3 * DAY, "3d")],
)
def test_a_span_is_written_as_kubectl_writes_ages(seconds: float, text: str) -> None:
    assert span(seconds) == text
