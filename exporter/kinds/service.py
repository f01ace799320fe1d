"""Services with a load balancer and its addresses, and the endpoints behind every Service."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter.contract import Publisher, Sample
from exporter.kinds.words import gauge
from exporter.watch.objects import NO_META, Meta, View

_SERVICE = ("namespace", "service_name")

ADDRESSES = gauge(
    "kpi_load_balancer_addresses",
    "Addresses that the Service's load balancer has; 0 while it waits for one.",
    _SERVICE,
)
INFO = gauge(
    "kpi_load_balancer_info",
    "An address of the Service's load balancer: a host name or an IP.",
    (*_SERVICE, "address"),
)
LOAD_BALANCER_METRICS = (ADDRESSES, INFO)

ENDPOINTS_READY = gauge("kpi_service_endpoints_ready", "Endpoints that take traffic.", _SERVICE)
ENDPOINTS_NOT_READY = gauge(
    "kpi_service_endpoints_not_ready",
    "Endpoints that take no traffic, but for those that are being taken away.",
    _SERVICE,
)
ENDPOINT_METRICS = (ENDPOINTS_READY, ENDPOINTS_NOT_READY)

SERVICE_NAME = "kubernetes.io/service-name"
"""Label that names an EndpointSlice's Service."""


class Ingress(View, frozen=True):
    """One address of a load balancer."""

    ip: str | None = None
    hostname: str | None = None


class LoadBalancer(View, frozen=True):
    """What the cloud gave."""

    ingress: list[Ingress] | None = None


class ServicePort(View, frozen=True):
    """A port that a Service serves."""

    port: int | None = None


class ServiceSpec(View, frozen=True):
    """What a Service is."""

    type: str | None = None
    ports: list[ServicePort] | None = None


class ServiceStatus(View, frozen=True):
    """What a Service has."""

    load_balancer: LoadBalancer = LoadBalancer()


class Service(View, frozen=True):
    """v1 Service."""

    metadata: Meta = NO_META
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class EndpointConditions(View, frozen=True):
    """Whether an endpoint takes traffic; not said means yes."""

    ready: bool | None = None
    terminating: bool | None = None


class Endpoint(View, frozen=True):
    """One endpoint."""

    conditions: EndpointConditions = EndpointConditions()


class EndpointSlice(View, frozen=True):
    """discovery.k8s.io/v1 EndpointSlice: up to a hundred endpoints of one address family."""

    metadata: Meta = NO_META
    address_type: str = ""
    endpoints: list[Endpoint] | None = None


class Counted(NamedTuple):
    """The endpoints of one slice."""

    service: tuple[str, str]
    """Namespace and name."""
    family: str
    ready: int
    not_ready: int


def load_balancer_samples(service: Service) -> Iterator[Sample]:
    """Describe a Service's load balancer; a Service without one has no series."""
    if service.spec.type != "LoadBalancer":
        return
    labels = (service.metadata.namespace, service.metadata.name)
    ingress = service.status.load_balancer.ingress or ()
    addresses = dict.fromkeys(one.hostname or one.ip or "" for one in ingress)
    addresses.pop("", None)
    yield Sample(ADDRESSES, labels, float(len(addresses)))
    for address in addresses:
        yield Sample(INFO, (*labels, address), 1.0)


def counted(endpoint_slice: EndpointSlice) -> Counted:
    """Count the endpoints of a slice."""
    meta = endpoint_slice.metadata
    ready = not_ready = 0
    for endpoint in endpoint_slice.endpoints or ():
        if endpoint.conditions.ready is not False:
            ready += 1
        elif not endpoint.conditions.terminating:
            not_ready += 1
    service = (meta.namespace, (meta.labels or {}).get(SERVICE_NAME, ""))
    return Counted(service, endpoint_slice.address_type, ready, not_ready)


def endpoint_samples(slices: Mapping[str, Counted]) -> Iterator[Sample]:
    """Sum the slices of one Service; of two address families the larger counts.

    With both families each pod has an endpoint in each.
    """
    families: dict[str, list[int]] = {}
    for one in slices.values():
        sums = families.setdefault(one.family, [0, 0])
        sums[0] += one.ready
        sums[1] += one.not_ready
    labels = next(iter(slices.values())).service
    for index, metric in enumerate((ENDPOINTS_READY, ENDPOINTS_NOT_READY)):
        yield Sample(metric, labels, float(max(sums[index] for sums in families.values())))


class EndpointPublisher:
    """Publishes each Service's endpoints, again when one of its slices changes."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._services: dict[tuple[str, str], dict[str, Counted]] = {}
        self._service_of: dict[str, tuple[str, str]] = {}
        self._unseen: set[str] = set()
        self.alive = publisher.alive
        self.failed = publisher.failed

    def on_object(self, obj: EndpointSlice) -> None:
        """Take a slice; one that says no Service is nobody's."""
        uid, count = obj.metadata.uid, counted(obj)
        self._unseen.discard(uid)
        if self._service_of.get(uid, count.service) != count.service:
            self.on_delete(uid)
        if count.service[1]:
            self._service_of[uid] = count.service
            self._services.setdefault(count.service, {})[uid] = count
            self._publish(count.service)

    def on_delete(self, uid: str) -> None:
        """Forget a slice."""
        service = self._service_of.pop(uid, None)
        if service is not None:
            del self._services[service][uid]
            self._publish(service)

    def begin(self) -> None:
        """A listing starts."""
        self._unseen = set(self._service_of)
        self._publisher.begin()

    def sweep(self) -> None:
        """Forget the slices that the listing did not hold."""
        for uid in self._unseen:
            self.on_delete(uid)
        self._unseen = set()
        self._publisher.sweep()

    def _publish(self, service: tuple[str, str]) -> None:
        slices = self._services[service]
        if slices:
            self._publisher.put("/".join(service), endpoint_samples(slices))
        else:
            del self._services[service]
            self._publisher.delete("/".join(service))
