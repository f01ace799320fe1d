"""Name resolution as every program of this pod knows it."""

from collections.abc import Iterator

from exporter.contract import Sample
from exporter.kinds.words import gauge

SUCCESS = gauge("kpi_dns_lookup_success", "1 if the name had an address in time.", ("name",))
SECONDS = gauge("kpi_dns_lookup_seconds", "Time that the lookup took, or was given.", ("name",))
METRICS = (SUCCESS, SECONDS)


def samples(name: str, seconds: float, *, success: bool) -> Iterator[Sample]:
    """Describe one lookup."""
    yield Sample(SUCCESS, (name,), float(success))
    yield Sample(SECONDS, (name,), seconds)
