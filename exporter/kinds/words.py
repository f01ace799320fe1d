"""Words that several kinds share: label names, and reasons bounded to lists."""

from exporter.contract import OTHER, Metric, bounded

__all__ = ["CONTAINER", "OTHER", "POD", "bounded", "gauge"]

POD = ("namespace", "pod", "workload", "workload_type")
CONTAINER = ("namespace", "pod", "container", "workload", "workload_type")


def gauge(name: str, text: str, labels: tuple[str, ...]) -> Metric:
    """Declare a gauge."""
    return Metric(name, text, "gauge", labels)
