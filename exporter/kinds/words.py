"""Words that several kinds share: label names, and reasons bounded to lists."""

from collections.abc import Set as AbstractSet

from exporter.contract import Metric

POD = ("namespace", "pod", "workload", "workload_type")
CONTAINER = ("namespace", "pod", "container", "workload", "workload_type")

OTHER = "Other"
"""Stands for every word that a list does not hold, so that nobody's free text becomes series."""


def bounded(word: str, known: AbstractSet[str]) -> str:
    """Return `word` if it is known, else `Other`."""
    return word if word in known else OTHER


def gauge(name: str, text: str, labels: tuple[str, ...]) -> Metric:
    """Declare a gauge."""
    return Metric(name, text, "gauge", labels)
