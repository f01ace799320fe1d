"""ELBv2: the targets of each target group by health, and why they are not healthy."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from exporter.aws_port import Aws
from exporter.cloud.answers import Pascal, read
from exporter.contract import Metric, Sample, bounded
from exporter.shared.errors import NotFoundError

GROUP = ("target_group",)

HEALTHY = Metric(
    "kpi_target_group_healthy_targets", "Targets that are sent requests.", labels=GROUP
)
REGISTERED = Metric(
    "kpi_target_group_registered_targets", "Targets of the target group.", labels=GROUP
)
UNHEALTHY = Metric(
    "kpi_target_group_unhealthy_targets",
    "Targets that are not healthy, by state and by the reason that the load balancer gives.",
    labels=(*GROUP, "state", "reason"),
)
METRICS = (HEALTHY, REGISTERED, UNHEALTHY)

STATES = frozenset(
    {"draining", "healthy", "initial", "unavailable", "unhealthy", "unhealthy.draining", "unused"}
)
REASONS = frozenset(
    {
        "Elb.InitialHealthChecking",
        "Elb.InternalError",
        "Elb.RegistrationInProgress",
        "Target.DeregistrationInProgress",
        "Target.FailedHealthChecks",
        "Target.HealthCheckDisabled",
        "Target.InvalidState",
        "Target.IpUnusable",
        "Target.NotInUse",
        "Target.NotRegistered",
        "Target.ResponseCodeMismatch",
        "Target.Timeout",
    }
)
"""The API's TargetHealthStateEnum and TargetHealthReasonEnum."""


class TargetGroup(Pascal, frozen=True):
    """A target group."""

    target_group_name: str = ""
    target_group_arn: str = ""


class TargetGroups(Pascal, frozen=True):
    """A page of DescribeTargetGroups."""

    target_groups: list[TargetGroup] | None = None


class TargetHealth(Pascal, frozen=True):
    """How a target is."""

    state: str | None = None
    reason: str | None = None


class Description(Pascal, frozen=True):
    """A target, of which only the health is read."""

    target_health: TargetHealth = TargetHealth()


class Healths(Pascal, frozen=True):
    """The answer of DescribeTargetHealth."""

    target_health_descriptions: list[Description] | None = None


async def collect(aws: Aws, names: Collection[str]) -> Sequence[Sample]:
    """Describe the target groups called `names`, or all of the region. Raises NotFoundError.

    A group that goes away between the two questions is left out.
    """
    wanted = {"Names": list(names)} if names else {}
    groups: list[TargetGroup] = []
    async for page in aws.pages("elbv2", "describe_target_groups", **wanted):
        groups += read(page, TargetGroups).target_groups or ()
    samples: list[Sample] = []
    for group in groups:
        try:
            answer = await aws.call(
                "elbv2", "describe_target_health", TargetGroupArn=group.target_group_arn
            )
        except NotFoundError:
            continue
        samples += health_samples(group.target_group_name, read(answer, Healths))
    return samples


def health_samples(group: str, healths: Healths) -> Iterator[Sample]:
    """Describe the targets of a group."""
    found = [one.target_health for one in healths.target_health_descriptions or ()]
    healthy = sum(one.state == "healthy" for one in found)
    yield Sample(HEALTHY, (group,), healthy)
    yield Sample(REGISTERED, (group,), len(found))
    others = Counter(
        (bounded(one.state or "", STATES), bounded(one.reason or "", REASONS))
        for one in found
        if one.state != "healthy"
    )
    for labels, count in sorted(others.items()):
        yield Sample(UNHEALTHY, (group, *labels), count)
