"""What a source has published, for tests to look at."""

from collections.abc import Iterable, Mapping, Sequence

from exporter.contract import Metric, Reading, Sample
from exporter.exposition.store import FragmentStore


def exposition(metrics: Sequence[Metric], samples: Iterable[Sample]) -> str:
    """Return the page with these samples, HELP and TYPE included; no series may be there twice."""
    store = FragmentStore(metrics, max_series=100_000)
    fragments = store.open(metrics)
    fragments.put("", samples)
    assert not fragments.duplicates
    return store.document().text().decode()


def lines(metrics: Sequence[Metric], samples: Iterable[Sample]) -> list[str]:
    """Return the lines of that page that are samples."""
    page = exposition(metrics, samples).splitlines()
    return [line for line in page if not line.startswith("#")]


class Page:
    """A publisher that holds what would be on the page."""

    def __init__(self) -> None:
        self.samples: dict[str, list[Sample]] = {}
        self.readings: dict[str, list[Reading]] = {}
        self.shown: dict[str, Sequence[Mapping[str, object]]] = {}
        self.failures: list[str] = []
        self.alive_told = 0
        self.synced = False
        self._put: set[str] = set()

    def put(self, key: str, samples: Iterable[Sample], readings: Iterable[Reading] = ()) -> None:
        self.samples[key] = list(samples)
        self.readings[key] = list(readings)
        self._put.add(key)

    def delete(self, key: str) -> None:
        self.samples.pop(key, None)
        self.readings.pop(key, None)

    def begin(self) -> None:
        self._put = set()

    def sweep(self) -> None:
        for key in self.samples.keys() - self._put:
            self.delete(key)
        self.synced = True

    def show(self, topic: str, rows: Sequence[Mapping[str, object]]) -> None:
        self.shown[topic] = rows

    def alive(self) -> None:
        self.alive_told += 1

    def failed(self, reason: str) -> None:
        self.failures.append(reason)

    def series(self, metric: Metric | str) -> dict[tuple[str, ...], float]:
        """Return the series of a metric by their label values; none may be there twice."""
        name = metric if isinstance(metric, str) else metric.name
        found = [
            (sample.labels, sample.value)
            for samples in self.samples.values()
            for sample in samples
            if sample.metric.name == name
        ]
        assert len(dict(found)) == len(found)
        return dict(found)

    def read(self, kpi: str) -> dict[tuple[str, ...], float]:
        """Return the readings of a KPI by their subjects' values."""
        return {
            tuple(value for _, value in reading.subject): reading.value
            for readings in self.readings.values()
            for reading in readings
            if reading.kpi == kpi
        }
