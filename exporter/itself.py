"""What the exporter says of itself: build, shard, process."""

from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client import ProcessCollector

from exporter.contract import Metric, Sample
from exporter.shard import Shard

BUILD = Metric(
    "kpi_exporter_build_info", "Always 1; tells the exporter's version.", "gauge", ("version",)
)
SHARD = Metric("kpi_exporter_shard_index", "Which of the exporters this is, from 0.")
SHARDS = Metric("kpi_exporter_shards", "How many exporters share the work.")

_PROCESS = {
    "process_cpu_seconds_total": Metric(
        "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", "counter"
    ),
    "process_max_fds": Metric("process_max_fds", "Maximum number of open file descriptors."),
    "process_open_fds": Metric("process_open_fds", "Number of open file descriptors."),
    "process_resident_memory_bytes": Metric(
        "process_resident_memory_bytes", "Resident memory size in bytes."
    ),
    "process_start_time_seconds": Metric(
        "process_start_time_seconds", "Start time of the process since unix epoch in seconds."
    ),
    "process_virtual_memory_bytes": Metric(
        "process_virtual_memory_bytes", "Virtual memory size in bytes."
    ),
}
"""Names and meaning that Prometheus' client libraries agreed upon."""

METRICS = (BUILD, SHARD, SHARDS, *_PROCESS.values())

_process = ProcessCollector(registry=None)


def build_samples() -> Iterator[Sample]:
    """Tell the version."""
    yield Sample(BUILD, (version("runbookd"),), 1.0)


def shard_samples(shard: Shard) -> Iterator[Sample]:
    """Tell which shard this is."""
    yield Sample(SHARD, (), float(shard.index))
    yield Sample(SHARDS, (), float(shard.total))


def process_samples() -> Iterator[Sample]:
    """Tell what the process uses now; nothing where there is no /proc."""
    for family in _process.collect():
        for sample in family.samples:
            if sample.name in _PROCESS:
                yield Sample(_PROCESS[sample.name], (), sample.value)
