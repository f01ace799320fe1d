"""EKS: the version of a cluster, how long AWS supports it, and its managed node groups."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time

from exporter.aws_port import Aws
from exporter.cloud.answers import Camel, read
from exporter.contract import Metric, Sample, bounded

GROUP = ("eks_cluster", "nodegroup")

CLUSTER = Metric(
    "kpi_eks_cluster_info",
    "Version and status of the EKS cluster.",
    labels=("eks_cluster", "version", "platform_version", "status"),
)
SUPPORT_ENDS = Metric(
    "kpi_eks_support_ends_timestamp_seconds",
    "When AWS's standard support for the cluster's version ends; none for a version whose date is "
    "not known (collectors.aws.support_ends).",
    labels=("eks_cluster", "version"),
)
NODEGROUP = Metric(
    "kpi_eks_nodegroup_info",
    "Version, release of the machine image and status of the node group.",
    labels=(*GROUP, "version", "release_version", "status"),
)
DESIRED = Metric("kpi_eks_nodegroup_desired_nodes", "Nodes wanted.", labels=GROUP)
MINIMUM = Metric("kpi_eks_nodegroup_min_nodes", "Fewest nodes allowed.", labels=GROUP)
MAXIMUM = Metric("kpi_eks_nodegroup_max_nodes", "Most nodes allowed.", labels=GROUP)
ISSUES = Metric(
    "kpi_eks_nodegroup_health_issues",
    "Health issues of the node group that EKS reports, by code.",
    labels=(*GROUP, "code"),
)
HEALTHY = Metric(
    "kpi_eks_nodegroup_healthy", "1 if EKS reports no health issue of the node group.", labels=GROUP
)
METRICS = (CLUSTER, SUPPORT_ENDS, NODEGROUP, DESIRED, MINIMUM, MAXIMUM, ISSUES, HEALTHY)

STANDARD_SUPPORT_ENDS: Mapping[str, date] = {
    "1.29": date(2025, 3, 23),
    "1.30": date(2025, 7, 23),
    "1.31": date(2025, 11, 26),
    "1.32": date(2026, 3, 23),
    "1.33": date(2026, 7, 29),
    "1.34": date(2026, 12, 2),
    "1.35": date(2027, 3, 27),
}
"""The "Amazon EKS Kubernetes release calendar" of the EKS user guide ("Understand the Kubernetes
version lifecycle on EKS"): support ends, and the higher price begins, as this day begins in UTC."""

ISSUE_CODES = frozenset(
    {
        "AccessDenied",
        "AmiIdNotFound",
        "AsgInstanceLaunchFailures",
        "AutoScalingGroupInvalidConfiguration",
        "AutoScalingGroupNotFound",
        "ClusterUnreachable",
        "Ec2LaunchTemplateNotFound",
        "Ec2LaunchTemplateVersionMismatch",
        "Ec2SecurityGroupNotFound",
        "Ec2SubnetInvalidConfiguration",
        "Ec2SubnetNotFound",
        "IamInstanceProfileNotFound",
        "IamNodeRoleNotFound",
        "InstanceLimitExceeded",
        "InsufficientFreeAddresses",
        "InternalFailure",
        "NodeCreationFailure",
        "NodeTerminationFailure",
        "PodEvictionFailure",
    }
)
"""Of EKS' NodegroupIssueCode those that tell what to look at; the rarer ones become `Other`."""
STATUSES = frozenset(
    {
        "ACTIVE",
        "CREATING",
        "CREATE_FAILED",
        "DEGRADED",
        "DELETING",
        "DELETE_FAILED",
        "FAILED",
        "PENDING",
        "UPDATING",
    }
)


class Cluster(Camel, frozen=True):
    """A cluster."""

    version: str | None = None
    platform_version: str | None = None
    status: str | None = None


class ClusterAnswer(Camel, frozen=True):
    """The answer of DescribeCluster."""

    cluster: Cluster = Cluster()


class Names(Camel, frozen=True):
    """A page of ListNodegroups."""

    nodegroups: list[str] | None = None


class Scaling(Camel, frozen=True):
    """How many nodes there may be."""

    min_size: int | None = None
    max_size: int | None = None
    desired_size: int | None = None


class Issue(Camel, frozen=True):
    """One thing that ails a node group."""

    code: str | None = None


class Health(Camel, frozen=True):
    """All that ails a node group."""

    issues: list[Issue] | None = None


class Nodegroup(Camel, frozen=True):
    """A managed node group."""

    version: str | None = None
    release_version: str | None = None
    status: str | None = None
    scaling_config: Scaling = Scaling()
    health: Health | None = None


class NodegroupAnswer(Camel, frozen=True):
    """The answer of DescribeNodegroup."""

    nodegroup: Nodegroup = Nodegroup()


async def collect(aws: Aws, name: str, support_ends: Mapping[str, date]) -> Sequence[Sample]:
    """Describe the cluster `name`; `support_ends` goes before the table of this module."""
    answer = read(await aws.call("eks", "describe_cluster", name=name), ClusterAnswer)
    samples = list(cluster_samples(name, answer.cluster, {**STANDARD_SUPPORT_ENDS, **support_ends}))
    async for page in aws.pages("eks", "list_nodegroups", clusterName=name):
        for group in read(page, Names).nodegroups or ():
            described = await aws.call(
                "eks", "describe_nodegroup", clusterName=name, nodegroupName=group
            )
            samples += nodegroup_samples((name, group), read(described, NodegroupAnswer).nodegroup)
    return samples


def cluster_samples(name: str, cluster: Cluster, support_ends: Mapping[str, date]) -> list[Sample]:
    """Describe a cluster."""
    version = cluster.version or ""
    status = bounded(cluster.status or "", STATUSES)
    samples = [Sample(CLUSTER, (name, version, cluster.platform_version or "", status), 1.0)]
    if version in support_ends:
        ends = datetime.combine(support_ends[version], time(), UTC)
        samples.append(Sample(SUPPORT_ENDS, (name, version), ends.timestamp()))
    return samples


def nodegroup_samples(labels: tuple[str, str], group: Nodegroup) -> Iterator[Sample]:
    """Describe a node group of a cluster."""
    about = (
        group.version or "",
        group.release_version or "",
        bounded(group.status or "", STATUSES),
    )
    yield Sample(NODEGROUP, (*labels, *about), 1.0)
    scaling = group.scaling_config
    sizes = (
        (DESIRED, scaling.desired_size),
        (MINIMUM, scaling.min_size),
        (MAXIMUM, scaling.max_size),
    )
    for metric, size in sizes:
        if size is not None:
            yield Sample(metric, labels, size)
    if group.health is not None:
        issues = Counter(bounded(one.code or "", ISSUE_CODES) for one in group.health.issues or ())
        for code, count in sorted(issues.items()):
            yield Sample(ISSUES, (*labels, code), count)
        yield Sample(HEALTHY, labels, float(not issues))
