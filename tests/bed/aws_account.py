"""What the bed's account at AWS holds, put there through its own API."""

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import cast

from tests.bed.aws import ACCOUNT, REGION, Aws, Fault

CLUSTER = "shop"
VERSION = "1.34"
TARGET_GROUP = "task-manager"
REPOSITORY = "task-manager"
BUCKET = "backups"
NO_NODES = "AsgInstanceLaunchFailures"

UNHEALTHY_TARGET = b"""<DescribeTargetHealthResponse
 xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeTargetHealthResult>
<TargetHealthDescriptions><member><HealthCheckPort>8000</HealthCheckPort><TargetHealth>
<State>unhealthy</State><Reason>Target.ResponseCodeMismatch</Reason>
<Description>Health checks failed with these codes: [500]</Description></TargetHealth>
<Target><Id>10.0.0.5</Id><Port>8000</Port></Target></member><member><TargetHealth>
<State>healthy</State></TargetHealth><Target><Id>10.0.0.6</Id><Port>8000</Port></Target></member>
</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>"""
"""One of two targets fails its checks: what moto itself never says."""


async def cluster(aws: Aws, *groups: str, version: str = VERSION) -> None:
    """Make an EKS cluster with node groups of `version`."""
    role = f"arn:aws:iam::{ACCOUNT}:role/eks"
    network: Mapping[str, object] = {"subnetIds": ["subnet-1"]}
    named = {"name": CLUSTER, "version": VERSION, "roleArn": role}
    await aws.do("eks", "create_cluster", **named, resourcesVpcConfig=network)
    for group in groups:
        await aws.do(
            "eks",
            "create_nodegroup",
            clusterName=CLUSTER,
            nodegroupName=group,
            subnets=["subnet-1"],
            nodeRole=role,
            scalingConfig={"minSize": 1, "maxSize": 5, "desiredSize": 3},
            releaseVersion=f"{version}.1-20251103",
            version=version,
        )


async def target_group(aws: Aws) -> None:
    """Make a target group with two targets, both healthy."""
    network = cast(
        "dict[str, str]", (await aws.do("ec2", "create_vpc", CidrBlock="10.0.0.0/16"))["Vpc"]
    )
    made = await aws.do(
        "elbv2",
        "create_target_group",
        Name=TARGET_GROUP,
        Protocol="HTTP",
        Port=8000,
        VpcId=network["VpcId"],
        TargetType="ip",
    )
    group = cast("list[dict[str, str]]", made["TargetGroups"])[0]["TargetGroupArn"]
    targets = [{"Id": "10.0.0.5", "Port": 8000}, {"Id": "10.0.0.6", "Port": 8000}]
    await aws.do("elbv2", "register_targets", TargetGroupArn=group, Targets=targets)


async def bucket(aws: Aws, *keys: str) -> None:
    """Make a bucket with objects, each a byte larger than the one before."""
    where = {"LocationConstraint": REGION}
    await aws.do("s3", "create_bucket", Bucket=BUCKET, CreateBucketConfiguration=where)
    for number, key in enumerate(keys):
        await aws.do("s3", "put_object", Bucket=BUCKET, Key=key, Body=b"x" * (number + 1))


async def image(aws: Aws, tag: str) -> str:
    """Push an image into the repository, and return its digest."""
    manifest = (
        '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",'
        f' "config": {{"digest": "{tag}"}}}}'
    )
    made = await aws.do(
        "ecr", "put_image", repositoryName=REPOSITORY, imageManifest=manifest, imageTag=tag
    )
    return cast("dict[str, dict[str, str]]", made["image"])["imageId"]["imageDigest"]


async def scan(aws: Aws, digest: str, **counts: int) -> None:
    """Have the scanner find `counts` by severity in an image."""
    scanned = {"repositoryName": REPOSITORY, "imageId": {"imageDigest": digest}}
    await aws.do("ecr", "start_image_scan", **scanned)
    found = {
        **scanned,
        "imageScanStatus": {"status": "COMPLETE"},
        "imageScanFindings": {"findingSeverityCounts": counts},
    }
    await aws.will_answer("ecr/scan-finding-results", found)


async def figure(aws: Aws, namespace: str, metric: str, *values: tuple[datetime, float]) -> None:
    """Put values of a metric without dimensions into CloudWatch."""
    data = [{"MetricName": metric, "Timestamp": at, "Value": value} for at, value in values]
    await aws.do("cloudwatch", "put_metric_data", Namespace=namespace, MetricData=data)


async def bill(aws: Aws, today: date, service: str, dollars: float) -> None:
    """Let a service have cost so much yesterday."""
    day = {"Start": (today - timedelta(days=1)).isoformat(), "End": today.isoformat()}
    amount = {"UnblendedCost": {"Amount": f"{dollars}", "Unit": "USD"}}
    groups = [{"Keys": [service], "Metrics": amount}]
    results = {"ResultsByTime": [{"TimePeriod": day, "Groups": groups}]}
    await aws.will_answer("ce/cost-and-usage-results", results, region="us-east-1")


async def everything(aws: Aws, now: datetime) -> Mapping[str, object]:
    """Have something of all that the collector asks for, and return its settings.

    The first look sees a node group that cannot grow and a target that fails its checks; both are
    well in the next one.
    """
    await cluster(aws, "nodes", version="1.33")
    await target_group(aws)
    await bucket(aws, "database/taskmanager.sql")
    await aws.do("ecr", "create_repository", repositoryName=REPOSITORY)
    await image(aws, "v2")
    await scan(aws, await image(aws, "v3"), CRITICAL=1, HIGH=2)
    await figure(aws, "Shop", "Latency", (now - timedelta(minutes=8), 0.1))
    await bill(aws, now.date(), "Amazon EKS", 2.4)
    ailing = {"version": "1.33", "status": "DEGRADED", "health": {"issues": [{"code": NO_NODES}]}}
    aws.faults += [
        Fault(200, UNHEALTHY_TARGET, when="Action=DescribeTargetHealth"),
        Fault(200, json.dumps({"nodegroup": ailing}).encode(), when="/node-groups/nodes "),
    ]
    return {
        "endpoint_url": aws.url,
        "region": REGION,
        "requests_per_second": 100,
        "clusters": [CLUSTER],
        "clusters_interval": "5s",
        "support_ends": {VERSION: date(now.year + 1, 1, 1)},
        "target_groups": {"interval": "5s"},
        "backups": [{"name": "taskmanager", "bucket": BUCKET}],
        "ecr": {"names": [REPOSITORY]},
        "cloudwatch": {"queries": [{"name": "slow", "namespace": "Shop", "metric": "Latency"}]},
        "cost": {},
    }
