"""AWS: targets, backups, node groups, versions, images, figures of CloudWatch, and the bill."""

from charts.dashboards.aws_daytime import (
    COST,
    CRITICAL,
    DAY,
    FIGURES,
    GROUP,
    GROUP_NAME,
    IMAGES,
    OF_AWS,
    REQUESTS,
    SUPPORT_LEFT,
    VERSIONS,
    findings,
    unset,
    well,
)
from charts.dashboards.board import (
    ALERTS,
    Bars,
    Board,
    Lines,
    Number,
    Query,
    Row,
    States,
    Variable,
    age,
    gauge,
    least,
)
from charts.dashboards.bounds import bound

OF_TARGETS = 'target_group=~"$target_group"'

NOW = Row(
    "Is anything wrong on AWS?",
    (
        Number(
            title="Targets not healthy",
            about="The load balancers send them nothing.",
            unit="short",
            queries=(
                Query(
                    "sum("
                    + gauge("kpi_target_group_registered_targets", "target_group")
                    + " - "
                    + gauge("kpi_target_group_healthy_targets", "target_group")
                    + ")",
                    "not healthy",
                ),
            ),
            bad_above=bound("KpiTargetsUnhealthy") + 1,  # it fires above, and targets are whole
            guides=("KpiTargetsUnhealthy",),
            absent=unset("target_groups"),
        ),
        Number(
            title="Time since the last backup",
            about="Of the backup that waits longest. One that was never written has no time.",
            unit="s",
            queries=(Query(f"max({age('kpi_backup_newest_timestamp_seconds', 'backup')})", "age"),),
            bad_above=bound("KpiBackupOld"),
            guides=("KpiBackupOld",),
            absent=unset("backups"),
        ),
        Number(
            title="Node groups in trouble",
            about="They may not be able to add or replace nodes.",
            unit="short",
            queries=(
                Query(f"sum(1 - {least('kpi_eks_nodegroup_healthy', *GROUP)})", "in trouble"),
            ),
            bad_above=1,
            guides=("KpiNodegroupUnhealthy",),
            absent=unset("clusters"),
        ),
        Number(
            title="Fewest days of support left",
            about="Standard support of the clusters' versions; a version that is too new to be"
            " known needs support_ends.",
            unit="short",
            decimals=0,
            queries=(Query(f"min({SUPPORT_LEFT})", "days"),),
            bad_below=bound("KpiEksSupportEnding") / DAY,
            guides=("KpiEksSupportEnding",),
            absent=unset("clusters"),
        ),
        Number(
            title="Critical findings",
            about="In the newest image of each repository. No alert tells of them.",
            unit="short",
            queries=(Query(f"sum({findings(CRITICAL)})", "critical"),),
            absent=unset("ecr") + ", scan on push",
        ),
        Number(
            title="Sources of AWS that fail",
            about="What they tell is old, and dropped after three intervals; see below which.",
            unit="short",
            queries=(
                Query(f"sum(1 - {least('kpi_source_up', 'source', where=OF_AWS)})", "failing"),
            ),
            bad_above=1,
            guides=("KpiSourceDown",),
            absent="set collectors.aws",
        ),
    ),
)

BALANCERS = Row(
    "Do the load balancers reach their targets?",
    (
        Lines(
            title="Targets registered and healthy",
            about="No healthy one: users are cut off. A gap: pods that do not pass the check.",
            unit="short",
            queries=tuple(
                Query(
                    gauge(f"kpi_target_group_{word}_targets", "target_group", where=OF_TARGETS),
                    f"{{{{target_group}}}} {word}",
                )
                for word in ("registered", "healthy")
            ),
            guides=("KpiTargetsUnhealthy",),
            absent=unset("target_groups"),
        ),
        Lines(
            title="Why are targets not healthy?",
            about="FailedHealthChecks: the check's path or port. Timeout: security groups, or pods"
            " that are too busy. Draining and initial pass by themselves.",
            unit="short",
            queries=(
                Query(
                    gauge(
                        "kpi_target_group_unhealthy_targets",
                        "target_group",
                        "state",
                        "reason",
                        where=OF_TARGETS,
                    ),
                    "{{target_group}} {{state}}: {{reason}}",
                ),
            ),
            stacked=True,
            guides=("KpiTargetsUnhealthy",),
            absent=well("target_groups"),
        ),
    ),
)

BACKUPS = Row(
    "Are the backups there?",
    (
        Lines(
            title="Age of the newest backup",
            about="A saw-tooth as high as the time between two backups is healthy.",
            unit="s",
            queries=(Query(age("kpi_backup_newest_timestamp_seconds", "backup"), "{{backup}}"),),
            target=f"vector({bound('KpiBackupOld'):.0f}) and on () {gauge('kpi_backup_kept')}",
            guides=("KpiBackupOld",),
            width=8,
            absent=unset("backups"),
        ),
        Lines(
            title="Size of the newest backup",
            about="Much smaller than the one before: look into it before you rely on it.",
            unit="bytes",
            queries=(Query(gauge("kpi_backup_newest_size_bytes", "backup"), "{{backup}}"),),
            width=8,
            absent=unset("backups"),
        ),
        Lines(
            title="Backups kept and past their retention",
            about="None kept: there is no backup, and no age of one. Past: nothing deletes them.",
            unit="short",
            queries=(
                Query(gauge("kpi_backup_kept", "backup"), "{{backup}} kept"),
                Query(gauge("kpi_backup_expired", "backup"), "{{backup}} past their retention"),
            ),
            width=8,
            absent=unset("backups"),
        ),
    ),
)

NODES = Row(
    "Can node groups add and replace nodes?",
    (
        States(
            title="Which node group is in trouble, and since when?",
            about="Red: EKS reports a health issue. The nodes that run go on; new ones may fail.",
            unit="short",
            queries=(Query(least("kpi_eks_nodegroup_healthy", *GROUP), GROUP_NAME),),
            yes="healthy",
            no="in trouble",
            guides=("KpiNodegroupUnhealthy",),
            width=8,
            absent=unset("clusters"),
        ),
        Bars(
            title="What ails the node groups?",
            about="EKS's codes. AsgInstanceLaunchFailures: no capacity, or a quota is used up.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_eks_nodegroup_health_issues", *GROUP, "code"),
                    GROUP_NAME + ": {{code}}",
                ),
            ),
            guides=("KpiNodegroupUnhealthy",),
            width=8,
            absent=well("clusters"),
        ),
        Lines(
            title="Nodes wanted, fewest and most",
            about="Wanted at the most: the cluster can grow no further; raise maxSize.",
            unit="short",
            queries=tuple(
                Query(gauge(f"kpi_eks_nodegroup_{part}_nodes", *GROUP), f"{GROUP_NAME} {word}")
                for part, word in (("desired", "wanted"), ("min", "fewest"), ("max", "most"))
            ),
            width=8,
            absent=unset("clusters"),
        ),
    ),
)

BOARD = Board(
    uid="runbookd-aws",
    title="AWS",
    about="Do load balancers reach their targets, are backups, nodes and support there, what is"
    " found in images, and what does it cost?",
    rows=(NOW, BALANCERS, BACKUPS, NODES, VERSIONS, IMAGES, FIGURES, COST, REQUESTS),
    variables=(
        Variable(
            "target_group",
            "Target group",
            "label_values(kpi_target_group_registered_targets, target_group)",
        ),
        Variable("query", "Figure of CloudWatch", "label_values(kpi_cloudwatch_value, query)"),
    ),
    events=(ALERTS,),
    since="now-24h",
)
