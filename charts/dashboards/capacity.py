"""Capacity: how much room is left, where, and until when."""

from charts.dashboards.board import (
    ALERTS,
    CLAIM_NAME,
    DATABASES,
    NAMESPACE,
    NODES,
    OF_NAMESPACE,
    OF_NODE,
    Bars,
    Board,
    Lines,
    Number,
    Query,
    Row,
    gauge,
    how_many,
    least,
    total,
)
from charts.dashboards.catalogue import kpi_lines, kpi_number
from exporter.kpi import CLAIM

FULL_DAYS = "kpi_full_days:deriv6h"


def of_allocatable(resource: str, requested: str, allocatable: str) -> Lines:
    """Return what is used, reserved and to be had of a resource, all nodes together."""
    return Lines(
        title=f"{resource} used, requested and allocatable",
        about="Requested near allocatable: new pods stay pending, however little is used.",
        unit="bytes" if resource == "Memory" else "short",
        queries=tuple(
            Query(total(gauge(metric, "node", where=OF_NODE)), word)
            for metric, word in (
                (requested.replace("requested", "usage"), "used"),
                (requested, "requested"),
                (allocatable, "allocatable"),
            )
        ),
    )


NOW = Row(
    "How much room is left?",
    (
        kpi_number(
            "cluster_pods_fit",
            "Pods that still fit",
            "Of the configured size, or else of the median of the pods there are.",
            over="min",
        ),
        kpi_number(
            "cluster_cpu_requested_ratio", "CPU requested", "Of what all nodes can give together."
        ),
        kpi_number(
            "cluster_memory_requested_ratio",
            "Memory requested",
            "Of what all nodes can give together.",
        ),
        kpi_number("node_disk_ratio", "Fullest node disk", "Of all filesystems of all nodes."),
        kpi_number("volume_disk_ratio", "Fullest volume", "Of the claims in what is chosen."),
        kpi_number(
            "database_connections_ratio", "Database connections", "Used of those that may be open."
        ),
    ),
)

CLUSTER = Row(
    "Can more pods be placed?",
    (
        kpi_lines(
            "cluster_pods_fit",
            "Pods that still fit over time",
            "0: the next rollout or scale-up waits for a node.",
        ),
        Lines(
            title="Requested of allocatable, per node",
            about="Nodes that are unevenly filled have less room than their sum promises.",
            unit="percentunit",
            queries=tuple(
                Query(gauge(f"kpi_node_{part}_requested_ratio", "node", where=OF_NODE), legend)
                for part, legend in (("cpu", "{{node}} CPU"), ("memory", "{{node}} memory"))
            ),
        ),
        of_allocatable(
            "CPU cores", "kpi_node_cpu_requested_cores", "kpi_node_cpu_allocatable_cores"
        ),
        of_allocatable(
            "Memory", "kpi_node_memory_requested_bytes", "kpi_node_memory_allocatable_bytes"
        ),
        kpi_lines(
            "cluster_cpu_requested_ratio", "CPU requested of allocatable", "All nodes.", width=8
        ),
        kpi_lines(
            "cluster_memory_requested_ratio",
            "Memory requested of allocatable",
            "All nodes.",
            width=8,
        ),
        Lines(
            title="Pods placed of those a node may hold",
            about="On EKS the network's addresses limit this long before CPU does.",
            unit="percentunit",
            queries=(
                Query(
                    gauge("kpi_node_pods_placed", "node", where=OF_NODE)
                    + " / "
                    + gauge("kpi_node_pods_allocatable", "node", where=OF_NODE),
                    "{{node}}",
                ),
            ),
            width=8,
        ),
    ),
)

DISKS = Row(
    "When is what full?",
    (
        Bars(
            title="Days until a volume is full",
            about="At the pace of the last six hours; one that does not fill up is not shown.",
            unit="short",
            queries=(
                Query(f"namespace_persistentvolumeclaim:{FULL_DAYS}{{{OF_NAMESPACE}}}", CLAIM_NAME),
            ),
            guides=("KpiVolumeFillsUp",),
        ),
        Bars(
            title="Days until a node's disk is full",
            about="At the pace of the last six hours; one that does not fill up is not shown.",
            unit="short",
            queries=(
                Query(f"node_filesystem:{FULL_DAYS}{{{OF_NODE}}}", "{{node}} {{filesystem}}"),
            ),
            guides=("KpiNodeDiskHigh",),
        ),
        kpi_lines("volume_disk_ratio", "Volumes used", "Enlarge a claim before the target."),
        kpi_lines("node_disk_ratio", "Node disks used", "The fullest filesystem of each node."),
        Lines(
            title="Inodes used",
            about="Many small files fill a disk that has bytes left.",
            unit="percentunit",
            queries=(
                Query(
                    "1 - "
                    + least("kpi_node_filesystem_inodes_free", "node", "filesystem", where=OF_NODE)
                    + " / "
                    + gauge("kpi_node_filesystem_inodes", "node", "filesystem", where=OF_NODE),
                    "{{node}} {{filesystem}}",
                ),
                Query(
                    "1 - "
                    + least("kpi_volume_inodes_free", *CLAIM, where=OF_NAMESPACE)
                    + " / "
                    + gauge("kpi_volume_inodes", *CLAIM, where=OF_NAMESPACE),
                    CLAIM_NAME,
                ),
            ),
        ),
        Lines(
            title="Storage promised to claims",
            about="Of bound volumes, by namespace: what is paid for, filled or not.",
            unit="bytes",
            queries=(
                Query(
                    total(gauge("kpi_pvc_capacity_bytes", *CLAIM, where=OF_NAMESPACE), "namespace"),
                    "{{namespace}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

DATABASE = Row(
    "How long does the database last?",
    (
        kpi_lines(
            "database_connections_ratio",
            "Database connections used",
            "Full: new sessions are refused.",
            guide="KpiDatabaseConnectionsHigh",
        ),
        kpi_lines("database_growth", "Database growth per day", "At the pace of a day.", width=12),
    ),
)

SCALERS = Row(
    "Is there headroom for peaks?",
    (
        Lines(
            title="Replicas that autoscalers may still add",
            about="0: the next peak is served by the pods there are.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_hpa_replicas_max", "namespace", "hpa", where=OF_NAMESPACE)
                    + " - "
                    + gauge("kpi_hpa_replicas_desired", "namespace", "hpa", where=OF_NAMESPACE),
                    "{{namespace}}/{{hpa}}",
                ),
            ),
        ),
        Number(
            title="Pods waiting for a place",
            about="The scheduler finds no node for them.",
            unit="short",
            queries=(
                Query(
                    how_many(gauge("kpi_pod_phase", "namespace", "pod", where='phase="Pending"')),
                    "pending",
                ),
            ),
            width=12,
            height=8,
            bad_above=1,
        ),
    ),
)

BOARD = Board(
    uid="runbookd-capacity",
    title="Capacity",
    about="How much room is left, where, and until when?",
    rows=(NOW, CLUSTER, DISKS, SCALERS, DATABASE),
    variables=(NAMESPACE, NODES, DATABASES),
    events=(ALERTS,),
    since="now-7d",
)
