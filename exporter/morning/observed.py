"""What the check looks at: exposed series, the last events, and what sources say of themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from exporter.shared.errors import PermanentError


class Series(NamedTuple):
    """One exposed sample."""

    labels: Mapping[str, str]
    value: float

    def named(self, *labels: str) -> str:
        """Return the values of these labels, joined as people write them: `default/web`."""
        return "/".join(self.labels[name] for name in labels)


class Page:
    """Exposed series by sample name."""

    def __init__(self, text: str) -> None:
        """Read an exposition. Raises PermanentError when it is none."""
        self._series: dict[str, list[Series]] = {}
        self._by_pod: dict[tuple[str, str, str], list[Series]] = {}
        self._exact: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
        try:
            families = list(text_string_to_metric_families(text))
        except ValueError as error:
            raise PermanentError("what was read is no page of metrics") from error
        for sample in chain.from_iterable(family.samples for family in families):
            series = Series(sample.labels, sample.value)
            self._series.setdefault(sample.name, []).append(series)
            if "pod" in series.labels:
                key = (sample.name, series.labels.get("namespace", ""), series.labels["pod"])
                self._by_pod.setdefault(key, []).append(series)

    def of(self, name: str, **wanted: str) -> list[Series]:
        """Return the series called `name` that carry all `wanted` labels."""
        return [
            series
            for series in self._series.get(name, ())
            if all(series.labels.get(key) == value for key, value in wanted.items())
        ]

    def of_pod(self, name: str, namespace: str, pod: str) -> list[Series]:
        """Return the series called `name` of one pod, without a look at those of all others."""
        return self._by_pod.get((name, namespace, pod), [])

    def value(self, name: str, **wanted: str) -> float | None:
        """Return the value of the first such series, or None."""
        found = self.of(name, **wanted)
        return found[0].value if found else None

    def exact(self, name: str, labels: Mapping[str, str]) -> float | None:
        """Return the value of the series with just these labels, in a time that does not grow."""
        if name not in self._exact:
            found = self._series.get(name, ())
            self._exact[name] = {frozenset(one.labels.items()): one.value for one in found}
        return self._exact[name].get(frozenset(labels.items()))

    def configured(self, collectors: Iterable[str]) -> bool:
        """Say whether one of the collectors has a source."""
        return any(self.of("kpi_source_up", collector=name) for name in collectors)

    def works(self, collector: str, source: str) -> bool:
        """Say whether a source works."""
        return self.value("kpi_source_up", collector=collector, source=source) == 1


@dataclass(frozen=True, slots=True)
class Observed:
    """All that the check judges."""

    page: Page
    now: datetime
    events: Sequence[Mapping[str, object]] | None = None
    """The last events as /debug/events shows them, or None when they could not be read."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Source (`postgres/main`) → what it last failed with, in words; without those that work."""

    def age(self, timestamp: float) -> float:
        """Return the seconds since a UNIX time; negative when it is still to come."""
        return self.now.timestamp() - timestamp
