"""Exposition text in prometheus_client's own format, byte for byte."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import copysign
from operator import itemgetter

from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override

from exporter.contract import Metric, Sample

END_OF_OPENMETRICS = b"# EOF\n"


class _One(Collector):
    """A registry of one family."""

    def __init__(self, family: Family) -> None:
        self._family = family

    @override
    def collect(self) -> Iterable[Family]:
        return (self._family,)


def header(metric: Metric) -> bytes:
    """Return the HELP and TYPE lines of a family in the text format 0.0.4."""
    return generate_latest(_One(_family(metric)))


def openmetrics_header(metric: Metric) -> bytes:
    """Return the HELP and TYPE lines of a family in OpenMetrics 1.0.0."""
    printed: bytes = openmetrics.generate_latest(_One(_family(metric)))  # type: ignore[no-untyped-call]
    return printed.removesuffix(END_OF_OPENMETRICS)


def openmetrics_name(metric: Metric) -> str:
    """Return the name of the family in OpenMetrics, where a counter's lacks `_total`."""
    return metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name


class Writer:
    """Writes samples' lines; neighbours often share their labels, and numbers are few."""

    __slots__ = ("_names", "_text", "_values")

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._values: tuple[str, ...] = ()
        self._text = ""

    def line(self, sample: Sample) -> bytes:
        """Return the sample's line. Raises ValueError.

        The number of label values must be that of the metric's label names.
        """
        metric, values, value = sample.metric, sample.labels, sample.value
        names = metric.labels
        if sample.le:
            text = _labels((*names, "le"), (*values, sample.le))
        elif values is self._values and names is self._names:
            text = self._text
        else:
            text = self._text = _labels(names, values)
            self._names, self._values = names, values
        number = _number(value) if value else _zero(value)
        return f"{metric.name}{sample.suffix}{text} {number}\n".encode()


def _zero(value: float) -> str:
    """Tell 0 from -0, which are one key of a cache."""
    return "0.0" if copysign(1.0, value) > 0 else "-0.0"


@lru_cache(maxsize=4096)
def _number(value: float) -> str:
    """Write a number as the client does; most are one of a few (1, a template's requests)."""
    written: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # it has no annotations
    return written


def _family(metric: Metric) -> Family:
    return Family(openmetrics_name(metric), metric.help, metric.kind)


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Return `{name="value",…}`: 1 µs where no value needs an escape, else 60."""
    if len(names) != len(values):
        raise ValueError(f"{len(values)} values for the labels {', '.join(names)}")
    if not names:
        return ""
    template, in_order = _template(names)
    text = template % in_order(values)
    if "\\" in text or "\n" in text or text.count('"') != 2 * len(names):
        return _escaped(names, values)
    return text


@lru_cache(maxsize=1024)
def _template(
    names: tuple[str, ...],
) -> tuple[str, Callable[[tuple[str, ...]], tuple[str, ...] | str]]:
    """Return where values go, names sorted as the client does, and what sorts the values so."""
    order = sorted(range(len(names)), key=names.__getitem__)
    pairs = ",".join(f'{names[place]}="%s"' for place in order)
    return f"{{{pairs}}}", itemgetter(*order)


def _escaped(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Let the client write the labels."""
    family = Family("x", "", "gauge")
    family.add_sample("x", dict(zip(names, values, strict=True)), 0)
    text = generate_latest(_One(family)).decode()
    return text[text.index("\nx") + 2 : -len(" 0.0\n")]
