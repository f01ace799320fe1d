"""What AWS says of the cluster, its load balancers, its backups, its images and its cost.

The library behind it is imported with the first request, so only who configures something pays.
IAM actions, for what is configured: `eks:DescribeCluster`, `eks:ListNodegroups`,
`eks:DescribeNodegroup`, `elasticloadbalancing:DescribeTargetGroups`,
`elasticloadbalancing:DescribeTargetHealth`, `s3:ListBucket`, `ecr:DescribeImages`,
`ecr:DescribeImageScanFindings`, `cloudwatch:GetMetricData`, `ce:GetCostAndUsage`.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import NamedTuple

from pydantic import Field, field_validator

from exporter.aws_port import Aws, AwsAccount
from exporter.cloud import backups, cloudwatch, cost, ecr, eks, elb
from exporter.cloud.cloudwatch import CloudWatch
from exporter.contract import Collected, CollectorSpec, Metric, PolledSource, Sample
from exporter.ports import Clients
from exporter.shared.clock import Clock
from exporter.shared.config import Duration, Section

REQUESTS = Metric(
    "kpi_aws_requests_total",
    "Requests to the AWS API by outcome (success, throttled, denied, failed); some cost money.",
    "counter",
    ("api", "outcome"),
)

OUTCOMES = ("denied", "failed", "success", "throttled")
COUNTED_EVERY = timedelta(seconds=15)
"""How often the requests are published; nothing is asked for it."""


class Backup(Section):
    """Backups in S3, told by where their keys begin."""

    name: str
    """Value of the label `backup`."""
    bucket: str
    """The bucket."""
    prefix: str = "database/"
    """Where the keys of the backups begin."""
    suffix: str = ""
    """How they end; others are not counted."""
    retention: Duration = timedelta(days=30)
    """Age at which a backup may go."""
    interval: Duration = timedelta(minutes=15)
    """Time between two passes."""
    max_objects: int = Field(default=20_000, ge=1)
    """Most keys that are looked through, 1000 a request."""


class TargetGroups(Section):
    """Whose targets are watched."""

    names: tuple[str, ...] = ()
    """Names of the target groups; by default all of the region."""
    interval: Duration = timedelta(minutes=1)
    """Time between two passes."""


class Repositories(Section):
    """Whose images are watched."""

    names: tuple[str, ...]
    """Names of the ECR repositories."""
    images: int = Field(default=3, ge=1, le=100)
    """How many of the newest images of each."""
    interval: Duration = timedelta(hours=1)
    """Time between two passes."""


class Cost(Section):
    """Asking for the cost costs a cent."""

    interval: Duration = timedelta(hours=12)
    """Time between two passes; AWS has new figures three times a day at most."""


class Settings(Section):
    """As whom AWS is asked, and for what."""

    region: str = ""
    """By default the environment's or the profile's."""
    profile: str = ""
    """A profile of the AWS configuration; by default the environment's credentials."""
    role_arn: str = ""
    """A role that is assumed with those credentials."""
    endpoint_url: str = ""
    """Another address of the AWS API, for tests and for private endpoints."""
    requests_per_second: float = Field(default=5.0, gt=0)
    """Most requests a second, of all sources together; ten may go at once after a pause."""
    timeout: Duration = timedelta(minutes=1)
    """Time that a pass of one source may take."""
    clusters: tuple[str, ...] = ()
    """Names of EKS clusters."""
    clusters_interval: Duration = timedelta(minutes=5)
    """Time between two passes over a cluster and its node groups."""
    support_ends: dict[str, date] = Field(default_factory=dict)
    """When standard support ends, `"1.36": 2027-08-01`, for versions not known here or wrongly."""
    target_groups: TargetGroups | None = None
    """Health of the load balancers' targets."""
    backups: tuple[Backup, ...] = ()
    """Backups in S3."""
    ecr: Repositories | None = None
    """Findings of ECR's image scanner."""
    cloudwatch: CloudWatch | None = None
    """Metrics of CloudWatch."""
    cost: Cost | None = None
    """Cost by service."""

    @field_validator("target_groups", "cost", mode="before")
    @classmethod
    def _nothing_means_defaults(cls, value: object) -> object:
        return {} if value is None else value


class Asked(NamedTuple):
    """One source: what is asked, and how often."""

    name: str
    interval: timedelta
    ask: Callable[[], Awaitable[Sequence[Sample]]]


def _account(settings: Settings) -> AwsAccount:
    return AwsAccount(
        region=settings.region,
        profile=settings.profile,
        role_arn=settings.role_arn,
        endpoint_url=settings.endpoint_url,
        requests_per_second=settings.requests_per_second,
    )


def _asked(settings: Settings, aws: Aws, clock: Clock) -> Iterator[Asked]:
    """Yield one source for each thing that is configured, so that each fails alone."""
    for name in settings.clusters:
        ask = partial(eks.collect, aws, name, settings.support_ends)
        yield Asked(f"eks-{name}", settings.clusters_interval, ask)
    if (groups := settings.target_groups) is not None:
        yield Asked("target-groups", groups.interval, partial(elb.collect, aws, groups.names))
    for each in settings.backups:
        yield Asked(f"backup-{each.name}", each.interval, partial(_backup, aws, each, clock))
    if (images := settings.ecr) is not None:
        for name in images.names:
            ask = partial(ecr.collect, aws, name, images.images)
            yield Asked(f"ecr-{name}", images.interval, ask)
    if (watched := settings.cloudwatch) is not None:
        yield Asked("cloudwatch", watched.interval, partial(_cloudwatch, aws, watched, clock))
    if settings.cost is not None:
        yield Asked("cost", settings.cost.interval, partial(_cost, aws, clock))


async def _backup(aws: Aws, backup: Backup, clock: Clock) -> Sequence[Sample]:
    found = await backups.listing(aws, backup.bucket, backup.prefix, most=backup.max_objects)
    written = [one for one in found if one.key.endswith(backup.suffix)]
    return list(backups.backup_samples(backup.name, written, backup.retention, clock.now()))


async def _cloudwatch(aws: Aws, watched: CloudWatch, clock: Clock) -> Sequence[Sample]:
    return await cloudwatch.collect(aws, watched, clock.now())


async def _cost(aws: Aws, clock: Clock) -> Sequence[Sample]:
    return await cost.collect(aws, clock.now())


def request_samples(counted: Mapping[tuple[str, str], int]) -> list[Sample]:
    """Return the counters of requests.

    Every outcome of an API that was asked is told, so that the first refusal is a rise.
    """
    apis = sorted({api for api, _ in counted})
    return [
        Sample(REQUESTS, (api, outcome), counted.get((api, outcome), 0))
        for api in apis
        for outcome in OUTCOMES
    ]


def _sources(settings: Settings, clients: Clients) -> Sequence[PolledSource]:
    aws = clients.aws(_account(settings))

    def source(asked: Asked) -> PolledSource:
        async def collect() -> Collected:
            return Collected(await asked.ask())

        return PolledSource(asked.name, asked.interval, settings.timeout, collect)

    async def requests() -> Collected:
        return Collected(request_samples(aws.requests()))

    return (
        *(source(asked) for asked in _asked(settings, aws, clients.clock)),
        PolledSource("requests", COUNTED_EVERY, COUNTED_EVERY, requests),
    )


SPEC = CollectorSpec(
    name="aws",
    help="EKS clusters and node groups, load balancers' targets, backups, images and cost on AWS.",
    settings=Settings,
    metrics=(
        *(*eks.METRICS, *elb.METRICS, *backups.METRICS),
        *(*ecr.METRICS, *cloudwatch.METRICS, *cost.METRICS, REQUESTS),
    ),
    sources=_sources,
)
