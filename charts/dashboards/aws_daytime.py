"""AWS by day: versions, images, figures of CloudWatch, the bill, and whether AWS answers."""

from charts.dashboards.board import (
    Bars,
    Lines,
    Number,
    Query,
    Row,
    States,
    age,
    gauge,
    highest,
    increase,
    least,
    rate,
    total,
)
from charts.dashboards.bounds import bound

OF_FIGURES = 'query=~"$query"'
OF_AWS = 'collector="aws"'
CRITICAL = 'severity="CRITICAL"'
GRAVE = 'severity=~"CRITICAL|HIGH"'
NOT_SCANNED = 'status!~"COMPLETE|ACTIVE"'
"""Active is an image that Amazon Inspector watches for good."""
GROUP = ("eks_cluster", "nodegroup")
GROUP_NAME = "{{eks_cluster}}/{{nodegroup}}"
IMAGE = ("repository", "tag")
IMAGE_NAME = "{{repository}}:{{tag}}"
SERVICE = ("aws_service", "currency")
SERVICE_NAME = "{{aws_service}} ({{currency}})"
VERSION = ("eks_cluster", "version")
DAY = 86400
"""Seconds."""

SUPPORT_LEFT = f"({least('kpi_eks_support_ends_timestamp_seconds', *VERSION)} - time()) / {DAY}"
NEWEST_IMAGES = (
    gauge("kpi_ecr_image_pushed_timestamp_seconds", *IMAGE)
    + " == on (repository) group_left () "
    + gauge("kpi_ecr_image_pushed_timestamp_seconds", "repository")
)


def unset(setting: str) -> str:
    """Return what stands where there is a series once the setting is there."""
    return f"set collectors.aws.{setting}"


def well(setting: str) -> str:
    """Return what stands where no series means that all is well, if anybody looks."""
    return f"none, if collectors.aws.{setting} is set"


def findings(where: str = "") -> str:
    """Return the findings in the newest image of each repository."""
    found = gauge("kpi_ecr_image_findings", *IMAGE, "severity", where=where)
    return f"{found} and on (repository, tag) ({NEWEST_IMAGES})"


VERSIONS = Row(
    "Which versions run, and how long are they supported?",
    (
        Number(
            title="Days until standard support ends",
            about="After that AWS charges for extended support, and at its end updates by itself.",
            unit="short",
            decimals=0,
            queries=(Query(SUPPORT_LEFT, "{{eks_cluster}} {{version}}"),),
            bad_below=bound("KpiEksSupportEnding") / DAY,
            guides=("KpiEksSupportEnding",),
            width=6,
            height=8,
            absent=unset("clusters"),
        ),
        Bars(
            title="Versions of the clusters",
            about="Version, platform version and status of each.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_eks_cluster_info", *VERSION, "platform_version", "status"),
                    "{{eks_cluster}} {{version}} {{platform_version}} {{status}}",
                ),
            ),
            width=6,
            absent=unset("clusters"),
        ),
        Bars(
            title="Node groups behind their cluster",
            about="Their version is not their cluster's: update them after it.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_eks_nodegroup_info", *GROUP, "version")
                    + " unless on (eks_cluster, version) "
                    + gauge("kpi_eks_cluster_info", *VERSION),
                    GROUP_NAME + " {{version}}",
                ),
            ),
            width=6,
            absent=well("clusters"),
        ),
        Bars(
            title="Releases of the node groups",
            about="Of the machine image, with its day: an old one lacks security fixes.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_eks_nodegroup_info", *GROUP, "release_version", "status"),
                    GROUP_NAME + " {{release_version}} {{status}}",
                ),
            ),
            width=6,
            absent=unset("clusters"),
        ),
    ),
)

IMAGES = Row(
    "What did the scanner find in the images?",
    (
        Lines(
            title="Findings by severity",
            about="In the newest image of each repository, all together.",
            unit="short",
            queries=(Query(total(findings(), "severity"), "{{severity}}"),),
            stacked=True,
            width=8,
            absent=unset("ecr") + ", scan on push",
        ),
        Bars(
            title="Images with critical or high findings",
            about="The newest of each repository: build it anew on a base that is up to date.",
            unit="short",
            queries=(
                Query(
                    highest(10, f"({findings(GRAVE)}) > 0"),
                    IMAGE_NAME + " {{severity}}",
                ),
            ),
            width=8,
            absent=well("ecr"),
        ),
        Bars(
            title="Images without a complete scan",
            about="Nothing is known of them. NOT_SCANNED: turn scan on push on.",
            unit="short",
            queries=(
                Query(
                    gauge(
                        "kpi_ecr_image_scan_status",
                        *IMAGE,
                        "status",
                        where=NOT_SCANNED,
                    ),
                    IMAGE_NAME + " {{status}}",
                ),
            ),
            width=8,
            absent=well("ecr"),
        ),
    ),
)

FIGURES = Row(
    "What does CloudWatch measure?",
    (
        Lines(
            title="Figures of CloudWatch",
            about="In each one's own unit: choose those that can share an axis.",
            unit="short",
            queries=(Query(gauge("kpi_cloudwatch_value", "query", where=OF_FIGURES), "{{query}}"),),
            low=None,
            absent=unset("cloudwatch.queries"),
        ),
        Lines(
            title="Age of the figures",
            about="Since their period began: the delay and the interval are in it.",
            unit="s",
            queries=(
                Query(
                    age("kpi_cloudwatch_value_timestamp_seconds", "query", where=OF_FIGURES),
                    "{{query}}",
                ),
            ),
            width=6,
            absent=unset("cloudwatch.queries"),
        ),
        Bars(
            title="Figures that CloudWatch refuses",
            about="Forbidden: the role lacks cloudwatch:GetMetricData.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_cloudwatch_query_failed_reason", "query", "reason"),
                    "{{query}}: {{reason}}",
                ),
            ),
            width=6,
            absent=well("cloudwatch.queries"),
        ),
    ),
)

COST = Row(
    "What does it cost?",
    (
        Bars(
            title="Yesterday by service",
            about="The ten dearest on the last whole day (UTC); corrected for a day.",
            unit="short",
            decimals=2,
            queries=(Query(highest(10, gauge("kpi_aws_cost_yesterday", *SERVICE)), SERVICE_NAME),),
            width=8,
            absent=unset("cost"),
        ),
        Bars(
            title="This month by service",
            about="The ten dearest, in the month's whole days so far.",
            unit="short",
            decimals=2,
            queries=(
                Query(highest(10, gauge("kpi_aws_cost_month_to_date", *SERVICE)), SERVICE_NAME),
            ),
            width=8,
            absent=unset("cost") + "; none on the 1st",
        ),
        Lines(
            title="Cost of a day over time",
            about="Look at weeks: a step that came with a release stays.",
            unit="short",
            decimals=2,
            queries=(Query(gauge("kpi_aws_cost_yesterday", *SERVICE), SERVICE_NAME),),
            stacked=True,
            width=8,
            absent=unset("cost"),
        ),
    ),
)

REQUESTS = Row(
    "Does AWS answer the exporter?",
    (
        States(
            title="Which source of AWS fails, and since when?",
            about="Each by itself: the others go on. Why: see the exporter's log.",
            unit="short",
            queries=(Query(least("kpi_source_up", "source", where=OF_AWS), "{{source}}"),),
            yes="up",
            no="failing",
            guides=("KpiSourceDown", "KpiSourceStale"),
            absent="set collectors.aws",
        ),
        Lines(
            title="Requests by API",
            about="Of the exporter that asks most. GetCostAndUsage costs a cent each.",
            unit="reqps",
            queries=(
                Query(total(rate("kpi_aws_requests_total", "api", "outcome"), "api"), "{{api}}"),
            ),
            stacked=True,
            absent="set collectors.aws",
        ),
        Lines(
            title="Requests refused, throttled or failed",
            about="Denied: the role lacks the action. Throttled: lower requests_per_second.",
            unit="short",
            queries=(
                Query(
                    increase(
                        "kpi_aws_requests_total", "api", "outcome", where='outcome!="success"'
                    ),
                    "{{api}} {{outcome}}",
                ),
            ),
            stacked=True,
            absent="set collectors.aws",
        ),
    ),
)
