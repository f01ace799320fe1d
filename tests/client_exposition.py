"""What prometheus_client prints for the same samples: the measure of every page."""

from collections.abc import Iterable

from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from typing_extensions import override

from exporter.contract import Metric, Sample

GAUGE = Metric("kpi_pod_ready", 'Ready "or" not.\nTwo \\ lines.', "gauge", ("pod", "a_b"))
COUNTER = Metric("kpi_requests_total", "Requests.", "counter", ("route",))
HISTOGRAM = Metric("kpi_duration_seconds", "Times.", "histogram", ("a", "zone"))
PLAIN = Metric("kpi_up", "Up.")
METRICS = (GAUGE, COUNTER, HISTOGRAM, PLAIN)

texts = st.text(
    st.sampled_from('a"\\\n\r é{}=, \u2028\t#') | st.characters(codec="utf-8"), max_size=6
)
numbers = st.floats() | st.integers(-(10**20), 10**20).map(float)


@st.composite
def families(draw: st.DrawFn) -> list[Sample]:
    metric = draw(st.sampled_from(METRICS))
    labels = tuple(draw(texts) for _ in metric.labels)
    if metric is not HISTOGRAM:
        return [Sample(metric, labels, draw(numbers))]
    buckets = [Sample(metric, labels, draw(numbers), "_bucket", le) for le in ("0.1", "1", "+Inf")]
    totals = [Sample(metric, labels, draw(numbers), suffix) for suffix in ("_sum", "_count")]
    return [*buckets, *totals]


def identity(sample: Sample) -> tuple[object, ...]:
    return (sample.metric.name, sample.labels, sample.suffix, sample.le)


fragments = st.lists(families(), max_size=4).map(
    lambda groups: list({identity(s): s for group in groups for s in group}.values())
)


class Printed(Collector):
    def __init__(self, samples: Iterable[Sample]) -> None:
        self.samples = list(samples)

    @override
    def collect(self) -> Iterable[Family]:
        for metric in METRICS:
            name = metric.name.removesuffix("_total")
            family = Family(name, metric.help, metric.kind)
            for sample in self.samples:
                if sample.metric is metric:
                    labels = dict(zip(metric.labels, sample.labels, strict=True))
                    labels |= {"le": sample.le} if sample.le else {}
                    family.add_sample(metric.name + sample.suffix, labels, sample.value)
            if family.samples:
                yield family


def printed(samples: Iterable[Sample]) -> bytes:
    return generate_latest(Printed(samples))


def printed_as_openmetrics(samples: Iterable[Sample]) -> bytes:
    page: bytes = openmetrics.generate_latest(Printed(samples))  # type: ignore[no-untyped-call]
    return page
