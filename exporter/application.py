"""The mapping of the settings from an application to its pods and their metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple


class Gauge(NamedTuple):
    """Series of a pod's page that are read as one value: their sum."""

    name: str
    labels: Mapping[str, str]
    """Labels that each of them carries; others may differ."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """A resource of the application that can be used up."""

    resource: str
    used: Gauge
    limit: float | Gauge | None = None
    """How much each pod has, where that is known."""


@dataclass(frozen=True, slots=True)
class Application:
    """An application whose pods are scraped (settings: `applications`)."""

    name: str
    namespace: str
    """Empty: all of them."""
    selector: Mapping[str, str]
    port: int | None
    """None: as each pod's annotation says."""
    path: str | None
    histogram: str
    status_label: str
    route_label: str
    errors: str
    """Regular expression; a status that matches it whole is an error."""
    ignore_routes: tuple[str, ...]
    apdex: timedelta
    """T of Apdex: satisfied up to T, tolerating up to 4 T."""
    workload: str = ""
    """Workload that the series are labelled with; by default the pods' own."""
    workload_type: str = "deployment"
    annotated: bool = False
    """True: of the selected pods only those whose annotations ask to be scraped."""
    requests: str = ""
    """Counter of the requests, where the histogram does not know their status."""
    routes: tuple[str, ...] = ()
    """Routes that are told apart; by default the first `max_routes` that are seen."""
    max_routes: int = 50
    saturation: tuple[Saturation, ...] = ()
