"""The KPI catalogue: what is measured against which target.

One table drives `kpi_target`, `kpi_within_target`, the derived gauges, the recording rules' names
(`namespace_workload:kpi_<name>:rate`) and the morning check. Targets are the operations guide's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

WORKLOAD = ("namespace", "workload", "workload_type")
DATABASE = ("database",)
NODE = ("node",)
CLAIM = ("namespace", "persistentvolumeclaim")
CLUSTER = ()

Unit = Literal[
    "seconds", "ratio", "requests_per_second", "per_day", "bytes", "bytes_per_day", "count"
]

SUFFIXES: Mapping[Unit, str] = {
    "seconds": "_seconds",
    "bytes": "_bytes",
    "bytes_per_day": "_bytes_per_day",
}
"""What a unit adds to the name of the derived gauge; others stand in the KPI's own name or need
no word."""


@dataclass(frozen=True, slots=True)
class Kpi:
    """One key performance indicator."""

    name: str
    title: str
    """What people read in the morning check."""
    unit: Unit
    subject: tuple[str, ...]
    """Label names that identify what the KPI is measured of."""
    target: float | None = None
    """Bound in base units, or None when the value is only shown."""
    comparison: Literal["below", "above"] = "below"

    @property
    def metric(self) -> str:
        """Name of the derived gauge that serves the morning check."""
        return f"kpi_{self.name}{SUFFIXES.get(self.unit, '')}"

    def within(self, value: float, target: float) -> bool:
        """Say whether `value` meets `target`; the bound itself does not."""
        return value < target if self.comparison == "below" else value > target


CATALOGUE: Mapping[str, Kpi] = {
    kpi.name: kpi
    for kpi in (
        Kpi("latency_p95", "Response time p95", "seconds", WORKLOAD, 0.2),
        Kpi("error_ratio", "Error ratio", "ratio", WORKLOAD, 0.01),
        Kpi("throughput", "Throughput", "requests_per_second", WORKLOAD),
        Kpi("apdex", "User satisfaction (Apdex)", "ratio", WORKLOAD, 0.85, "above"),
        Kpi("availability", "Availability", "ratio", WORKLOAD, 0.999, "above"),
        Kpi("network_latency", "Network latency", "seconds", WORKLOAD, 0.01),
        Kpi("restarts_per_day", "Pod restarts per day", "per_day", WORKLOAD, 1.0),
        Kpi("unready_pods", "Pods not ready", "count", WORKLOAD, 1.0),
        Kpi("node_cpu_ratio", "Node CPU used of allocatable", "ratio", NODE, 0.7),
        Kpi("node_memory_ratio", "Node memory used of allocatable", "ratio", NODE, 0.8),
        Kpi("node_disk_ratio", "Node disk used", "ratio", NODE, 0.85),
        Kpi("volume_disk_ratio", "Volume used", "ratio", CLAIM, 0.85),
        Kpi("workload_cpu_ratio", "CPU used of requests", "ratio", WORKLOAD, 0.7),
        Kpi("workload_memory_ratio", "Memory used of requests", "ratio", WORKLOAD, 0.8),
        Kpi("cluster_cpu_requested_ratio", "CPU requested of allocatable", "ratio", CLUSTER),
        Kpi("cluster_memory_requested_ratio", "Memory requested of allocatable", "ratio", CLUSTER),
        Kpi("cluster_pods_fit", "Pods that still fit", "count", CLUSTER),
        Kpi("database_connections_ratio", "Database connections used", "ratio", DATABASE, 0.8),
        Kpi("database_query_time", "Database query time (mean)", "seconds", DATABASE),
        Kpi("database_slow_queries", "Slow database queries", "count", DATABASE),
        Kpi("database_size", "Database size", "bytes", DATABASE),
        Kpi("database_pool_ratio", "Database pool used", "ratio", (*DATABASE, "pgbouncer")),
        Kpi("database_growth", "Database growth", "bytes_per_day", DATABASE),
        Kpi("tasks_created_per_day", "Tasks created (UTC day)", "per_day", DATABASE),
        Kpi("active_users", "Active users", "count", DATABASE),
    )
}
