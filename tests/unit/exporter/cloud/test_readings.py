"""What answers of AWS become, whatever is missing in them."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import cast

import pytest
from pydantic import ValidationError

from exporter.cloud import backups, cloudwatch, cost, ecr, eks, elb
from exporter.cloud.answers import read
from exporter.contract import Collected, Sample
from exporter.shared.errors import PermanentError
from tests.fake_clients import lines
from tests.json_fields import changed, paths

NOW = datetime(2026, 1, 2, 9, 0, 30, tzinfo=UTC)
Answer = Mapping[str, object]

CLUSTER: Answer = {
    "cluster": {
        "name": "shop",
        "version": "1.33",
        "platformVersion": "eks.12",
        "status": "ACTIVE",
        "upgradePolicy": {"supportType": "EXTENDED"},
    }
}
NODEGROUP: Answer = {
    "nodegroup": {
        "nodegroupName": "nodes",
        "version": "1.32",
        "releaseVersion": "1.32.9-20251120",
        "status": "DEGRADED",
        "scalingConfig": {"minSize": 2, "maxSize": 5, "desiredSize": 4},
        "health": {
            "issues": [
                {"code": "AsgInstanceLaunchFailures", "message": "…", "resourceIds": ["asg"]},
                {"code": "KubernetesLabelInvalid", "message": "…"},
            ]
        },
    }
}
HEALTHS: Answer = {
    "TargetHealthDescriptions": [
        {"Target": {"Id": "10.0.0.5", "Port": 8000}, "TargetHealth": {"State": "healthy"}},
        {
            "Target": {"Id": "10.0.0.6", "Port": 8000},
            "TargetHealth": {"State": "unhealthy", "Reason": "Target.Timeout"},
        },
        {"Target": {"Id": "10.0.0.7"}, "TargetHealth": {"State": "new", "Reason": "Elb.Else"}},
    ]
}
OBJECTS: Answer = {
    "KeyCount": 3,
    "Contents": [
        {"Key": "database/a", "LastModified": NOW - timedelta(days=40), "Size": 10, "ETag": "…"},
        {"Key": "database/b", "LastModified": NOW - timedelta(days=2), "Size": 30, "ETag": "…"},
        {"Key": "database/c", "LastModified": NOW - timedelta(days=1), "Size": 20, "ETag": "…"},
    ],
}
IMAGES: Answer = {
    "imageDetails": [
        {
            "repositoryName": "task-manager",
            "imageDigest": "sha256:1",
            "imageTags": ["v3", "stable"],
            "imagePushedAt": NOW - timedelta(days=9),
        }
    ]
}
SCAN: Answer = {
    "imageScanStatus": {"status": "ACTIVE", "description": "Continuous scan is selected"},
    "imageScanFindings": {
        "findingSeverityCounts": {"HIGH": 2, "UNTRIAGED": 1},
        "imageScanCompletedAt": NOW,
    },
}
VALUES: Answer = {
    "MetricDataResults": [
        {
            "Id": "q0",
            "Label": "TargetResponseTime",
            "Timestamps": [NOW - timedelta(minutes=m, seconds=30) for m in (0, 1, 2)],
            "Values": [0.3, 0.2, 0.1],
            "StatusCode": "Complete",
        },
        {"Id": "q1", "Label": "Errors", "Timestamps": [], "Values": [], "StatusCode": "Complete"},
        {"Id": "q2", "Label": "Denied", "Timestamps": [], "Values": [], "StatusCode": "Forbidden"},
    ]
}
COSTS: Answer = {
    "GroupDefinitions": [{"Type": "DIMENSION", "Key": "SERVICE"}],
    "ResultsByTime": [
        {
            "TimePeriod": {"Start": day, "End": "…"},
            "Total": {},
            "Groups": [
                {
                    "Keys": ["Amazon EKS"],
                    "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": "USD"}},
                }
            ],
            "Estimated": True,
        }
        for day, amount in (("2025-12-31", "9"), ("2026-01-01", "2.5"))
    ],
}


def of_cluster(answer: Answer) -> Iterable[Sample]:
    found = read(answer, eks.ClusterAnswer).cluster
    return eks.cluster_samples("shop", found, eks.STANDARD_SUPPORT_ENDS)


def of_nodegroup(answer: Answer) -> Iterable[Sample]:
    return eks.nodegroup_samples(("shop", "nodes"), read(answer, eks.NodegroupAnswer).nodegroup)


def of_healths(answer: Answer) -> Iterable[Sample]:
    return elb.health_samples("web", read(answer, elb.Healths))


def of_objects(answer: Answer) -> Iterable[Sample]:
    found = read(answer, backups.Objects).contents or ()
    return backups.backup_samples("tasks", found, timedelta(days=30), NOW)


def of_images(answer: Answer) -> Iterable[Sample]:
    scan = read(SCAN, ecr.Scan)
    found = read(answer, ecr.Images).image_details or [ecr.Image()]
    return (sample for image in found for sample in ecr.image_samples("shop", image, scan))


def of_scan(answer: Answer) -> Iterable[Sample]:
    image = ecr.Image(image_tags=["v3"])
    return ecr.image_samples("shop", image, read(answer, ecr.Scan))


def of_values(answer: Answer) -> Iterable[Sample]:
    queries = [
        cloudwatch.Query(name=name, namespace="AWS/ApplicationELB", metric="x")
        for name in ("latency", "errors", "denied")
    ]
    found = cloudwatch.Found()
    cloudwatch.take(read(answer, cloudwatch.Results), queries, NOW.replace(second=0), found)
    return cloudwatch.samples(queries, found)


def of_costs(answer: Answer) -> Iterable[Sample]:
    return cost.cost_samples(read(answer, cost.Costs).results_by_time or (), NOW.date())


SUBJECTS: Mapping[str, tuple[Answer, Callable[[Answer], Iterable[Sample]]]] = {
    "cluster": (CLUSTER, of_cluster),
    "nodegroup": (NODEGROUP, of_nodegroup),
    "healths": (HEALTHS, of_healths),
    "objects": (OBJECTS, of_objects),
    "images": (IMAGES, of_images),
    "scan": (SCAN, of_scan),
    "values": (VALUES, of_values),
    "costs": (COSTS, of_costs),
}


def seen(subject: str, answer: object = None) -> list[str]:
    whole, describe = SUBJECTS[subject]
    given = whole if answer is None else cast("Answer", answer)
    return lines(Collected(list(describe(given))))


GROUP = 'eks_cluster="shop",nodegroup="nodes"'
EXPECTED: Mapping[str, Sequence[str]] = {
    "cluster": [
        (
            'kpi_eks_cluster_info{eks_cluster="shop",version="1.33",'
            'platform_version="eks.12",status="ACTIVE"} 1'
        ),
        'kpi_eks_support_ends_timestamp_seconds{eks_cluster="shop",version="1.33"} 1.78528e+09',
    ],
    "nodegroup": [
        (
            f'kpi_eks_nodegroup_info{{{GROUP},version="1.32",release_version="1.32.9-20251120",'
            'status="DEGRADED"} 1'
        ),
        f"kpi_eks_nodegroup_desired_nodes{{{GROUP}}} 4",
        f"kpi_eks_nodegroup_min_nodes{{{GROUP}}} 2",
        f"kpi_eks_nodegroup_max_nodes{{{GROUP}}} 5",
        f'kpi_eks_nodegroup_health_issues{{{GROUP},code="AsgInstanceLaunchFailures"}} 1',
        f'kpi_eks_nodegroup_health_issues{{{GROUP},code="Other"}} 1',
        f"kpi_eks_nodegroup_healthy{{{GROUP}}} 0",
    ],
    "healths": [
        'kpi_target_group_healthy_targets{target_group="web"} 1',
        'kpi_target_group_registered_targets{target_group="web"} 3',
        'kpi_target_group_unhealthy_targets{target_group="web",state="Other",reason="Other"} 1',
        (
            'kpi_target_group_unhealthy_targets{target_group="web",state="unhealthy",'
            'reason="Target.Timeout"} 1'
        ),
    ],
    "objects": [
        'kpi_backup_newest_timestamp_seconds{backup="tasks"} 1.76726e+09',
        'kpi_backup_newest_size_bytes{backup="tasks"} 20',
        'kpi_backup_kept{backup="tasks"} 2',
        'kpi_backup_expired{backup="tasks"} 1',
    ],
    "images": [
        'kpi_ecr_image_pushed_timestamp_seconds{repository="shop",tag="stable"} 1.76657e+09',
        'kpi_ecr_image_scan_status{repository="shop",tag="stable",status="ACTIVE"} 1',
        'kpi_ecr_image_findings{repository="shop",tag="stable",severity="CRITICAL"} 0',
        'kpi_ecr_image_findings{repository="shop",tag="stable",severity="HIGH"} 2',
        'kpi_ecr_image_findings{repository="shop",tag="stable",severity="MEDIUM"} 0',
        'kpi_ecr_image_findings{repository="shop",tag="stable",severity="LOW"} 0',
        'kpi_ecr_image_findings{repository="shop",tag="stable",severity="INFORMATIONAL"} 0',
        'kpi_ecr_image_findings{repository="shop",tag="stable",severity="UNDEFINED"} 0',
        'kpi_ecr_image_findings{repository="shop",tag="stable",severity="UNTRIAGED"} 1',
    ],
    "values": [
        'kpi_cloudwatch_value{query="latency"} 0.2',
        'kpi_cloudwatch_value_timestamp_seconds{query="latency"} 1.76734e+09',
        'kpi_cloudwatch_query_failed_reason{query="denied",reason="Forbidden"} 1',
    ],
    "costs": [
        'kpi_aws_cost_yesterday{aws_service="Amazon EKS",currency="USD"} 2.5',
        'kpi_aws_cost_month_to_date{aws_service="Amazon EKS",currency="USD"} 2.5',
    ],
}


@pytest.mark.parametrize("subject", EXPECTED)
def test_an_answer_becomes_series(subject: str) -> None:
    assert seen(subject) == EXPECTED[subject]


EVERY_FIELD = [(name, path) for name, (answer, _) in SUBJECTS.items() for path in paths(answer)]


@pytest.mark.parametrize(("subject", "path"), EVERY_FIELD, ids=str)
def test_any_field_may_be_missing(subject: str, path: tuple[object, ...]) -> None:
    found = seen(subject, changed(SUBJECTS[subject][0], path))
    assert len(found) <= len(seen(subject))
    assert len(set(found)) == len(found)


def test_a_setting_goes_before_the_table_of_support_ends() -> None:
    found = eks.cluster_samples("shop", eks.Cluster(version="1.99"), {"1.99": date(2030, 1, 1)})
    assert found[1].value == datetime(2030, 1, 1, tzinfo=UTC).timestamp()


def test_a_version_that_nobody_knows_has_no_end_of_support() -> None:
    found = eks.cluster_samples("shop", eks.Cluster(version="1.99"), eks.STANDARD_SUPPORT_ENDS)
    assert [sample.metric.name for sample in found] == ["kpi_eks_cluster_info"]


def test_a_scan_that_is_not_over_has_no_findings() -> None:
    raw = copy.deepcopy(dict(SCAN))
    raw["imageScanStatus"] = {"status": "IN_PROGRESS"}
    assert seen("scan", raw) == [
        'kpi_ecr_image_scan_status{repository="shop",tag="v3",status="IN_PROGRESS"} 1'
    ]


def test_only_the_dearest_services_have_a_series_of_their_own() -> None:
    groups = [
        cost.Group([f"service {number:02}"], {"UnblendedCost": cost.Amount(str(number), "USD")})
        for number in range(1, 31)
    ]
    day = cost.Day(cost.Period("2026-01-01"), groups)
    found = list(cost.cost_samples([day], NOW.date()))
    assert len(found) == 2 * (cost.MOST_SERVICES + 1)
    other = [one.value for one in found if one.labels[0] == "Other"]
    assert other == [sum(range(1, 11))] * 2


def test_on_the_first_day_of_a_month_there_is_yesterday_alone() -> None:
    day = cost.Day(
        cost.Period("2025-12-31"), [cost.Group(["EKS"], {"UnblendedCost": cost.Amount("3", "USD")})]
    )
    assert lines(Collected(list(cost.cost_samples([day], date(2026, 1, 1))))) == [
        'kpi_aws_cost_yesterday{aws_service="EKS",currency="USD"} 3'
    ]


def test_an_answer_of_another_shape_is_refused() -> None:
    with pytest.raises(PermanentError, match="in a shape we do not know"):
        read({"cluster": {"version": 1.34}}, eks.ClusterAnswer)


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        ([{"name": "errors"}, {"name": "errors"}], "two queries are called errors"),
        ([{"name": "errors", "period": "90s"}], "whole minutes"),
    ],
)
def test_queries_that_cannot_be_answered_are_refused(
    queries: list[dict[str, str]], said: str
) -> None:
    whole = [{"namespace": "AWS/ApplicationELB", "metric": "x", **query} for query in queries]
    with pytest.raises(ValidationError, match=said):
        cloudwatch.CloudWatch.model_validate({"queries": whole})
