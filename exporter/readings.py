"""Readings of KPIs against their targets, as series; pure."""

import math
from collections.abc import Iterable, Iterator, Mapping

from exporter.contract import Metric, Reading, Sample
from exporter.kpi import CATALOGUE, Kpi

TARGET = Metric(
    "kpi_target",
    "The bound that a KPI is compared with, in its base unit.",
    "gauge",
    ("kpi", "comparison"),
)

_WITHIN_NAME = "kpi_within_target"
_WITHIN_HELP = "1 when the KPI meets its target, 0 when not; absent while that is not known."

WITHIN: Mapping[str, Metric] = {
    kpi.name: Metric(_WITHIN_NAME, _WITHIN_HELP, "gauge", ("kpi", *kpi.subject))
    for kpi in CATALOGUE.values()
}
"""One family; its labels are those of the KPI's subject."""

VALUES: Mapping[str, Metric] = {
    kpi.name: Metric(
        kpi.metric, f"{kpi.title} as last read; its window is the source's.", "gauge", kpi.subject
    )
    for kpi in CATALOGUE.values()
}
"""The derived gauges, which serve the morning check; rules read counters and histograms."""

FAMILIES: tuple[Metric, ...] = (*VALUES.values(), Metric(_WITHIN_NAME, _WITHIN_HELP))
"""What a source publishes of its readings."""


def target_samples(targets: Mapping[str, float]) -> Iterator[Sample]:
    """Publish the targets that are in force."""
    for name, bound in targets.items():
        yield Sample(TARGET, (name, CATALOGUE[name].comparison), bound)


def reading_samples(readings: Iterable[Reading], targets: Mapping[str, float]) -> Iterator[Sample]:
    """Publish readings and whether they meet their targets; what is not a number is not known.

    Raises ValueError when a reading names no KPI or not the KPI's subject.
    """
    for reading in readings:
        kpi = CATALOGUE.get(reading.kpi)
        if kpi is None:
            raise ValueError(f"{reading.kpi!r} is not in the KPI catalogue")
        subject = _subject(kpi, reading)
        if math.isnan(reading.value):
            continue
        yield Sample(VALUES[kpi.name], subject, reading.value)
        if kpi.name in targets:
            meets = kpi.within(reading.value, targets[kpi.name])
            yield Sample(WITHIN[kpi.name], (kpi.name, *subject), float(meets))


def _subject(kpi: Kpi, reading: Reading) -> tuple[str, ...]:
    given = dict(reading.subject)
    if given.keys() != set(kpi.subject):
        raise ValueError(f"{kpi.name} is measured of {kpi.subject}, not of {tuple(given)}")
    return tuple(given[name] for name in kpi.subject)
