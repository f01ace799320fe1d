"""CloudWatch: the newest value of configured metrics, up to 500 of them in one request."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from pydantic import Field, field_validator

from exporter.aws_port import Aws
from exporter.cloud.answers import Pascal, read
from exporter.contract import Metric, Sample, bounded
from exporter.shared.config import Duration, Section

VALUE = Metric(
    "kpi_cloudwatch_value",
    "Newest value of the configured CloudWatch metric that is older than the delay; none where "
    "CloudWatch has none.",
    labels=("query",),
)
TIME = Metric(
    "kpi_cloudwatch_value_timestamp_seconds",
    "When the period of kpi_cloudwatch_value began.",
    labels=("query",),
)
FAILED = Metric(
    "kpi_cloudwatch_query_failed_reason",
    "1 for the reason why CloudWatch gave nothing for the query when it was last asked "
    "(InternalError, Forbidden, Other); none when it answered.",
    labels=("query", "reason"),
)
METRICS = (VALUE, TIME, FAILED)

ANSWERED = ("", "Complete", "PartialData")
"""Status codes of a result that can be used; the rest of a partial one is on a later page."""
REASONS = frozenset({"InternalError", "Forbidden"})
"""The other status codes (CloudWatch API reference, MetricDataResult)."""

BATCH = 500
"""Most queries of one GetMetricData (CloudWatch service quotas)."""


class Query(Section):
    """One metric of CloudWatch."""

    name: str
    """Value of the label `query`."""
    namespace: str
    """Its namespace, as `AWS/ApplicationELB`."""
    metric: str
    """Its name, as `TargetResponseTime`."""
    dimensions: dict[str, str] = Field(default_factory=dict)
    """Its dimensions, all of them."""
    statistic: str = "Average"
    """`Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or a percentile as `p95`."""
    period: Duration = Field(default=timedelta(minutes=1), ge=timedelta(minutes=1))
    """Time that one value covers, in whole minutes."""

    @field_validator("period")
    @classmethod
    def _is_whole_minutes(cls, period: timedelta) -> timedelta:
        if period % timedelta(minutes=1):
            raise ValueError("CloudWatch has values of whole minutes only: 1m, 5m")
        return period


class CloudWatch(Section):
    """Which metrics are read, and how late."""

    queries: tuple[Query, ...]
    """The metrics."""
    interval: Duration = timedelta(minutes=5)
    """Time between two passes; each costs one metric request a query."""
    delay: Duration = timedelta(minutes=5)
    """Age that a value must have: CloudWatch goes on correcting newer ones for minutes."""
    lookback: Duration = timedelta(minutes=30)
    """Age beyond the delay at which a value is no longer the present one."""

    @field_validator("queries")
    @classmethod
    def _are_told_apart(cls, queries: tuple[Query, ...]) -> tuple[Query, ...]:
        names = [query.name for query in queries]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two queries are called {', '.join(twice)}: give each its own name")
        return queries


class Result(Pascal, frozen=True):
    """Values of one query in one page; times are those when the periods began."""

    id: str = ""
    status_code: str = ""
    timestamps: list[datetime] | None = None
    values: list[float] | None = None


class Results(Pascal, frozen=True):
    """A page of GetMetricData."""

    metric_data_results: list[Result] | None = None


@dataclass(slots=True)
class Found:
    """What CloudWatch said; a query goes by its place in the settings."""

    newest: dict[int, tuple[datetime, float]] = field(default_factory=dict)
    """When the newest value of a query began, and that value."""
    failed: dict[int, str] = field(default_factory=dict)
    """Why there is nothing about a query."""


async def collect(aws: Aws, settings: CloudWatch, now: datetime) -> Sequence[Sample]:
    """Return the newest value of each query, in batches."""
    until = (now - settings.delay).replace(second=0, microsecond=0)
    found = Found()
    numbered = iter(enumerate(settings.queries))
    while batch := list(islice(numbered, BATCH)):
        pages = aws.pages(
            "cloudwatch",
            "get_metric_data",
            MetricDataQueries=[_asked(number, query) for number, query in batch],
            StartTime=until - settings.lookback,
            EndTime=until,
            ScanBy="TimestampDescending",
        )
        async for page in pages:
            take(read(page, Results), settings.queries, until, found)
    return list(samples(settings.queries, found))


def take(results: Results, queries: Sequence[Query], until: datetime, found: Found) -> None:
    """Note what a page brings, but for periods that were not over at `until`."""
    for result in results.metric_data_results or ():
        number = int(result.id.removeprefix("q") or -1)
        if number < 0:
            continue
        if result.status_code not in ANSWERED:
            found.failed[number] = bounded(result.status_code, REASONS)
        for point in zip(result.timestamps or (), result.values or (), strict=False):
            over = point[0] + queries[number].period <= until
            if over and (number not in found.newest or point[0] > found.newest[number][0]):
                found.newest[number] = point


def _asked(number: int, query: Query) -> Mapping[str, object]:
    dimensions = [{"Name": name, "Value": value} for name, value in query.dimensions.items()]
    metric = {"Namespace": query.namespace, "MetricName": query.metric, "Dimensions": dimensions}
    period = int(query.period.total_seconds())
    stat = {"Metric": metric, "Period": period, "Stat": query.statistic}
    return {"Id": f"q{number}", "MetricStat": stat, "ReturnData": True}


def samples(queries: Sequence[Query], found: Found) -> Iterator[Sample]:
    """Describe what was found."""
    for number, (at, value) in sorted(found.newest.items()):
        name = queries[number].name
        yield Sample(VALUE, (name,), value)
        yield Sample(TIME, (name,), at.timestamp())
    for number, reason in sorted(found.failed.items()):
        yield Sample(FAILED, (queries[number].name, reason), 1.0)
